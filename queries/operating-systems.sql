-- description: Operating systems of visitors, roughly, without bots
-- topic: web
-- needs: access_log
-- chart: bar x=os y=hits

SELECT coalesce(os(user_agent), 'unknown') AS os, count(*) AS hits, count(DISTINCT client_ip) AS clients
FROM access_log
WHERE user_agent IS NOT NULL AND NOT is_bot(user_agent)
GROUP BY 1
ORDER BY hits DESC, os
