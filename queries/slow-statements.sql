-- description: Slow statements of databases, by template
-- topic: database
-- needs: database_log
-- param: least_ms number = 0 -- only those that took as long
-- param: top integer = 20 -- rows at most
-- chart: bar x=statement y=total_ms

SELECT log_template(statement) AS statement, count(*) AS times, round(sum(duration_ms), 1) AS total_ms, round(max(duration_ms), 1) AS max_ms,
  max(database) AS database, time_bucket('1 second', max(time)) AS latest
FROM database_log
WHERE statement IS NOT NULL AND duration_ms >= $least_ms
GROUP BY 1
ORDER BY total_ms DESC, statement
LIMIT $top
