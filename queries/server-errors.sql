-- description: Errors of web servers by template
-- topic: sre
-- needs: error_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=template y=times

SELECT log_template(message) AS template, first_value(level) AS level, count(*) AS times, min(time) AS first, max(time) AS latest,
  first_value(message) AS example
FROM error_log
WHERE message IS NOT NULL
GROUP BY 1
ORDER BY times DESC, template
LIMIT $top
