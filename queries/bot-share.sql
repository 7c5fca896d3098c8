-- description: Requests of bots and of people per hour
-- topic: web
-- needs: access_log
-- chart: line x=hour y=bots,people,unnamed

SELECT time_bucket('1 hour', time) AS hour, count(*) FILTER (WHERE is_bot(user_agent)) AS bots,
  count(*) FILTER (WHERE NOT is_bot(user_agent)) AS people, count(*) FILTER (WHERE user_agent IS NULL) AS unnamed
FROM access_log
WHERE time IS NOT NULL
GROUP BY 1
ORDER BY 1
