-- description: Mail that is not delivered yet, and why
-- topic: mail
-- needs: mail_log
-- param: top integer = 20 -- rows at most

SELECT queue_id, max(sender) AS sender, max(trim(BOTH '<>' FROM recipient)) FILTER (WHERE action = 'defer') AS recipient,
  count(*) FILTER (WHERE action = 'defer') AS tries, max(delay_ms) / 1000 AS delay_s,
  time_bucket('1 second', max(time) FILTER (WHERE action = 'defer')) AS latest, max(message) FILTER (WHERE action = 'defer') AS reason
FROM mail_log
WHERE queue_id IS NOT NULL
GROUP BY queue_id
HAVING count(*) FILTER (WHERE action = 'defer') > 0 AND count(*) FILTER (WHERE action = 'remove') = 0
  AND NOT coalesce(max(time) FILTER (WHERE action IN ('deliver', 'bounce')) > max(time) FILTER (WHERE action = 'defer'), false)
ORDER BY tries DESC, queue_id
LIMIT $top
