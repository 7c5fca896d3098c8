-- description: User names that are tried
-- topic: security
-- needs: auth_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=user_name y=failures

SELECT user_name, count(*) AS failures, count(DISTINCT client_ip) AS clients, time_bucket('1 second', max(time)) AS latest
FROM auth_log
WHERE action IN ('failure', 'invalid_user') AND user_name IS NOT NULL
GROUP BY user_name
ORDER BY failures DESC, user_name
LIMIT $top
