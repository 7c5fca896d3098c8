-- description: Errors of web servers by level over time
-- topic: sre
-- needs: error_log
-- param: step interval = 1 hour -- width of a bucket
-- chart: line x=time y=critical,errors,warnings

SELECT time_bucket($step, time) AS time, count(*) AS messages, count(*) FILTER (WHERE level IN ('emerg', 'alert', 'crit')) AS critical,
  count(*) FILTER (WHERE level = 'error') AS errors, count(*) FILTER (WHERE level IN ('warn', 'warning')) AS warnings
FROM error_log
WHERE time IS NOT NULL
GROUP BY 1
ORDER BY 1
