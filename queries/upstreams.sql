-- description: Upstreams: requests, failures, latency
-- topic: sre
-- needs: access_log
-- chart: bar x=upstream_ip y=requests

SELECT upstream_ip, upstream_port, count(*) AS requests, count(*) FILTER (WHERE upstream_status >= 500) AS failed,
  round(approx_percentile_cont(upstream_ms, 0.95), 1) AS p95_ms
FROM access_log
WHERE upstream_ip IS NOT NULL
GROUP BY 1, 2
ORDER BY requests DESC, 1, 2
