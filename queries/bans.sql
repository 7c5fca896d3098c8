-- description: Addresses that were banned
-- topic: security
-- needs: auth_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=client_ip y=bans

SELECT client_ip, count(*) AS bans, time_bucket('1 second', min(time)) AS first, time_bucket('1 second', max(time)) AS latest
FROM auth_log
WHERE action = 'ban' AND client_ip IS NOT NULL
GROUP BY client_ip
ORDER BY bans DESC, client_ip
LIMIT $top
