-- description: Senders by messages and bytes
-- topic: mail
-- needs: mail_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=sender y=messages

SELECT sender, count(DISTINCT queue_id) AS messages, bytes_human(sum(bytes)) AS size, time_bucket('1 second', max(time)) AS latest
FROM mail_log
WHERE sender IS NOT NULL
GROUP BY sender
HAVING count(queue_id) > 0
ORDER BY messages DESC, sender
LIMIT $top
