-- description: Latency percentiles over time
-- topic: sre
-- needs: access_log
-- param: step interval = 5 minutes -- width of a bucket
-- chart: line x=time y=p50_ms,p95_ms,p99_ms

SELECT time_bucket($step, time) AS time, count(*) AS requests, round(approx_percentile_cont(duration_ms, 0.5), 1) AS p50_ms,
  round(approx_percentile_cont(duration_ms, 0.95), 1) AS p95_ms, round(approx_percentile_cont(duration_ms, 0.99), 1) AS p99_ms
FROM access_log
WHERE duration_ms IS NOT NULL AND time IS NOT NULL
GROUP BY 1
ORDER BY 1
