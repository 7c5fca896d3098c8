-- description: Errors and warnings of web servers by template
-- topic: sre
-- needs: error_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=template y=times

SELECT log_template(message) AS template, first_value(level) AS level, count(*) AS times, time_bucket('1 second', min(time)) AS first, time_bucket('1 second', max(time)) AS latest,
  first_value(message) AS example
FROM error_log
WHERE message IS NOT NULL AND coalesce(level, 'error') IN ('emerg', 'alert', 'crit', 'error', 'warn', 'warning')
GROUP BY 1
ORDER BY times DESC, template
LIMIT $top
