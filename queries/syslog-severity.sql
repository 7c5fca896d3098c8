-- description: Messages by severity and host
-- topic: system
-- needs: syslog
-- param: top integer = 20 -- rows at most
-- chart: bar x=severity y=messages

SELECT coalesce(host, 'unknown') AS host, coalesce(severity, 'not told') AS severity, count(*) AS messages, time_bucket('1 second', max(time)) AS latest
FROM syslog
GROUP BY 1, 2
ORDER BY messages DESC, 1, 2
LIMIT $top
