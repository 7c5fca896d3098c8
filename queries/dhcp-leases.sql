-- description: Who has which address, and since when
-- topic: network
-- needs: dhcp_log
-- param: top integer = 100 -- rows at most

SELECT client_mac, client_ip, max(client_host) AS client_host, count(*) AS acks, time_bucket('1 second', min(time)) AS first, time_bucket('1 second', max(time)) AS latest
FROM dhcp_log
WHERE action = 'ack'
GROUP BY client_mac, client_ip
ORDER BY latest DESC, client_mac
LIMIT $top
