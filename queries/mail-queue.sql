-- description: Mail that is not delivered yet, and why
-- topic: mail
-- needs: mail_log
-- param: top integer = 20 -- rows at most

SELECT queue_id, max(sender) AS sender, max(recipient) AS recipient, count(*) AS tries, max(delay_ms) / 1000 AS delay_s, max(time) AS latest,
  max(message) AS reason
FROM mail_log
WHERE queue_id IS NOT NULL AND action = 'defer'
GROUP BY queue_id
ORDER BY tries DESC, queue_id
LIMIT $top
