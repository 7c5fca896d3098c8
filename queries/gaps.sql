-- description: Times without a request: the server, or the log, was away
-- topic: logs
-- needs: access_log
-- param: least interval = 10 minutes -- gaps at least as long
-- param: top integer = 20 -- rows at most

WITH requests AS (
  SELECT time, lag(time) OVER (ORDER BY time) AS before FROM access_log WHERE time IS NOT NULL
)
SELECT before AS gap_from, time AS gap_to, time - before AS lasted
FROM requests
WHERE time - before >= $least
ORDER BY lasted DESC, gap_from
LIMIT $top
