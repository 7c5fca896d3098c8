-- description: Paths by requests that failed
-- topic: sre
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- alert: rows > 0
-- chart: bar x=path y=failed

SELECT path, count(*) FILTER (WHERE status >= 500) AS failed, count(*) AS requests,
  round(100.0 * count(*) FILTER (WHERE status >= 500) / count(*), 1) AS failed_percent, max(time) FILTER (WHERE status >= 500) AS latest
FROM access_log
WHERE path IS NOT NULL
GROUP BY path
HAVING count(*) FILTER (WHERE status >= 500) > 0
ORDER BY failed DESC, path
LIMIT $top
