-- description: Errors of applications by logger and template
-- topic: sre
-- needs: app_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=template y=times

SELECT coalesce(logger, program) AS logger, upper(level) AS level, log_template(message) AS template, count(*) AS times, time_bucket('1 second', max(time)) AS latest
FROM app_log
WHERE upper(level) IN ('ERROR', 'FATAL', 'CRITICAL', 'SEVERE', 'E', 'F', 'PANIC')
GROUP BY 1, 2, 3
ORDER BY times DESC, template
LIMIT $top
