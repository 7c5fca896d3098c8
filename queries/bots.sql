-- description: Bots, monitors and libraries by hits
-- topic: web
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=user_agent y=hits

SELECT user_agent, count(*) AS hits, count(DISTINCT client_ip) AS clients, count(*) FILTER (WHERE status >= 400) AS refused,
  bytes_human(coalesce(sum(bytes), 0)) AS sent
FROM access_log
WHERE is_bot(user_agent)
GROUP BY user_agent
ORDER BY hits DESC, user_agent
LIMIT $top
