-- description: Latency percentiles, by method
-- topic: sre
-- needs: access_log
-- metric: latency_p95_ms
-- chart: bar x=method y=p95_ms

SELECT coalesce(method, 'none') AS method, count(*) AS requests, round(approx_percentile_cont(duration_ms, 0.5), 1) AS p50_ms,
  round(approx_percentile_cont(duration_ms, 0.95), 1) AS p95_ms, round(approx_percentile_cont(duration_ms, 0.99), 1) AS p99_ms,
  round(max(duration_ms), 1) AS max_ms
FROM access_log
WHERE duration_ms IS NOT NULL
GROUP BY 1
ORDER BY requests DESC, method
