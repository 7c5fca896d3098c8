-- description: Visits: how many, how long, how many requests each; a visit ends with a pause
-- topic: web
-- needs: access_log
-- param: pause interval = 30 minutes -- the pause that ends a visit
-- chart: bar x=day y=visits

WITH requests AS (
  SELECT client_ip, time, sessionize(time, $pause) OVER (PARTITION BY client_ip, user_agent ORDER BY time) AS visit, user_agent
  FROM access_log
  WHERE client_ip IS NOT NULL AND time IS NOT NULL AND NOT coalesce(is_bot(user_agent), false)
), visits AS (
  SELECT count(*) AS hits, min(time) AS began, max(time) - min(time) AS lasted
  FROM requests
  GROUP BY client_ip, user_agent, visit
)
SELECT local_day(began) AS day, count(*) AS visits, round(avg(hits), 1) AS hits_per_visit, max(hits) AS most_hits, max(lasted) AS longest
FROM visits
GROUP BY 1
ORDER BY 1
