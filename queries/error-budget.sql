-- description: How much of the error budget is spent, by virtual host
-- topic: sre
-- needs: access_log
-- param: objective number = 0.999 -- share of requests that have to succeed
-- alert: budget_spent_percent > 100
-- metric: error_budget_spent_percent
-- chart: bar x=vhost y=budget_spent_percent

SELECT coalesce(vhost, 'all') AS vhost, count(*) AS requests, count(*) FILTER (WHERE status >= 500) AS failed,
  round(100.0 * count(*) FILTER (WHERE status < 500) / count(*), 4) AS availability_percent,
  round(100.0 * count(*) FILTER (WHERE status >= 500) / (count(*) * (1 - $objective)), 1) AS budget_spent_percent
FROM access_log
WHERE status IS NOT NULL
GROUP BY 1
ORDER BY budget_spent_percent DESC, vhost
