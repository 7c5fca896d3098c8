-- description: Share of requests that failed over time
-- topic: sre
-- needs: access_log
-- param: step interval = 5 minutes -- width of a bucket
-- chart: line x=time y=failed_percent

SELECT time_bucket($step, time) AS time, count(*) AS requests, count(*) FILTER (WHERE status >= 500) AS failed,
  round(100.0 * count(*) FILTER (WHERE status >= 500) / count(*), 2) AS failed_percent
FROM access_log
WHERE time IS NOT NULL AND status IS NOT NULL
GROUP BY 1
ORDER BY 1
