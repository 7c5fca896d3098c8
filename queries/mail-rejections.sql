-- description: Mail that was refused, by reason and client
-- topic: mail
-- needs: mail_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=reason y=times

SELECT log_template(coalesce(message, status)) AS reason, client_ip, count(*) AS times, time_bucket('1 second', max(time)) AS latest, max(sender) AS sender, max(recipient) AS recipient
FROM mail_log
WHERE action IN ('reject', 'bounce')
GROUP BY 1, 2
ORDER BY times DESC, reason, client_ip
LIMIT $top
