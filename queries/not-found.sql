-- description: What was asked for and is not there
-- topic: web
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=path y=hits

SELECT path, count(*) AS hits, count(DISTINCT client_ip) AS clients, time_bucket('1 second', max(time)) AS latest
FROM access_log
WHERE status = 404
GROUP BY path
ORDER BY hits DESC, path
LIMIT $top
