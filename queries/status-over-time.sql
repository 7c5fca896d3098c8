-- description: Requests by class of status over time, gaps filled
-- topic: web
-- needs: access_log
-- param: step interval = 1 hour -- width of a bucket
-- chart: line x=time y=2xx,3xx,4xx,5xx

WITH hits AS (
  SELECT time_bucket($step, time) AS bucket, status FROM access_log WHERE time IS NOT NULL
), buckets AS (
  SELECT unnest(time_buckets($step, min(bucket), max(bucket))) AS bucket FROM hits
)
SELECT buckets.bucket AS time, count(*) FILTER (WHERE status < 300) AS "2xx", count(*) FILTER (WHERE status BETWEEN 300 AND 399) AS "3xx",
  count(*) FILTER (WHERE status BETWEEN 400 AND 499) AS "4xx", count(*) FILTER (WHERE status >= 500) AS "5xx"
FROM buckets LEFT JOIN hits ON hits.bucket = buckets.bucket
GROUP BY 1
ORDER BY 1
