-- description: Paths by the time that they took together
-- topic: sre
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=path y=total_s

SELECT path, count(*) AS requests, round(sum(duration_ms) / 1000, 1) AS total_s, round(avg(duration_ms), 1) AS mean_ms,
  round(approx_percentile_cont(duration_ms, 0.95), 1) AS p95_ms, round(max(duration_ms), 1) AS max_ms
FROM access_log
WHERE duration_ms IS NOT NULL AND path IS NOT NULL
GROUP BY path
ORDER BY total_s DESC, path
LIMIT $top
