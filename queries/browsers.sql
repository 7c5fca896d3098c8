-- description: Browsers of visitors, roughly, without bots
-- topic: web
-- needs: access_log
-- chart: bar x=browser y=hits

SELECT coalesce(browser(user_agent), 'unknown') AS browser, count(*) AS hits, count(DISTINCT client_ip) AS clients
FROM access_log
WHERE user_agent IS NOT NULL AND NOT is_bot(user_agent)
GROUP BY 1
ORDER BY hits DESC, browser
