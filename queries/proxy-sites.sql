-- description: Sites that are fetched through the proxy
-- topic: network
-- needs: proxy_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=site y=requests

SELECT coalesce(url_host(url), split_part(url, ':', 1)) AS site, count(*) AS requests, count(DISTINCT client_ip) AS clients,
  sum(bytes) AS bytes, bytes_human(sum(bytes)) AS size
FROM proxy_log
WHERE url IS NOT NULL
GROUP BY 1
ORDER BY requests DESC, site
LIMIT $top
