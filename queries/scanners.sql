-- description: Addresses that ask for many things that are not there
-- topic: security
-- needs: access_log
-- param: least integer = 5 -- paths at least
-- param: top integer = 20 -- rows at most
-- chart: bar x=client_ip y=paths

SELECT client_ip, count(*) AS refused, count(DISTINCT path) AS paths, count(DISTINCT user_agent) AS user_agents, time_bucket('1 second', min(time)) AS first, time_bucket('1 second', max(time)) AS latest
FROM access_log
WHERE status IN (400, 401, 403, 404, 405, 444)
GROUP BY client_ip
HAVING count(DISTINCT path) >= $least
ORDER BY paths DESC, client_ip
LIMIT $top
