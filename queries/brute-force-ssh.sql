-- description: Addresses with many failed logins, and whether one succeeded in the end
-- topic: security
-- needs: auth_log
-- param: least integer = 3 -- failures at least
-- param: top integer = 20 -- rows at most
-- schedule: */15 * * * *
-- alert: rows > 0
-- chart: bar x=client_ip y=failures

SELECT client_ip, count(*) FILTER (WHERE action IN ('failure', 'invalid_user')) AS failures, count(DISTINCT user_name) AS users,
  count(*) FILTER (WHERE action = 'login') AS logins, time_bucket('1 second', min(time)) AS first, time_bucket('1 second', max(time)) AS latest
FROM auth_log
WHERE client_ip IS NOT NULL
GROUP BY client_ip
HAVING count(*) FILTER (WHERE action IN ('failure', 'invalid_user')) >= $least
ORDER BY failures DESC, client_ip
LIMIT $top
