-- description: Files sent and received, by user
-- topic: system
-- needs: transfer_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=user_name y=files

SELECT coalesce(user_name, 'unknown') AS user_name, action, count(*) AS files, sum(bytes) AS bytes, bytes_human(sum(bytes)) AS size, time_bucket('1 second', max(time)) AS latest
FROM transfer_log
WHERE action IN ('upload', 'download')
GROUP BY 1, 2
ORDER BY files DESC, 1, 2
LIMIT $top
