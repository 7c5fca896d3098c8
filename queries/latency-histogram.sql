-- description: How long requests take: 1, 2, 5, 10, 20, 50 … milliseconds and more
-- topic: sre
-- needs: access_log
-- chart: bar x=from_ms y=requests

SELECT histogram(duration_ms) AS from_ms, count(*) AS requests, round(100.0 * sum(count(*)) OVER (ORDER BY histogram(duration_ms)) / sum(count(*)) OVER (), 1) AS percent_up_to
FROM access_log
WHERE duration_ms IS NOT NULL
GROUP BY 1
ORDER BY 1
