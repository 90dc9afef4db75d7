"""QGIS's proxy as the variables that pip reads. Knows URLs and QGIS's network settings; writes no password anywhere else."""

from __future__ import annotations

from typing import Dict, List, Mapping

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy, QNetworkProxyQuery

_NAMES = {"HTTP_PROXY": "http://pypi.org/simple/", "HTTPS_PROXY": "https://pypi.org/simple/"}
"""The address that stands for all that an installer fetches this way."""
_SCHEMES = {
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
}


def proxy_variables(parent: Mapping[str, str]) -> Dict[str, str]:
    """What an installer needs beside ``parent`` to go the way that QGIS goes; nothing where ``parent`` names a proxy."""
    if any(parent[name] for name in parent if name.upper() in (*_NAMES, "ALL_PROXY")):
        return {}
    network = QgsNetworkAccessManager.instance()
    found = {}
    for name, address in _NAMES.items():
        urls = [_url(proxy) for proxy in network.proxyFactory().queryProxy(QNetworkProxyQuery(QUrl(address)))]
        if urls and urls[0]:
            found[name] = urls[0]
    if found and not any(name.upper() == "NO_PROXY" for name in parent):
        hosts = ["localhost", "127.0.0.1", *_hosts([*network.noProxyList(), *network.excludeList()])]
        found["NO_PROXY"] = ",".join(hosts)
    return found


def without_password(text: str, variables: Mapping[str, str]) -> str:
    """A text that may be shown: user and password of these proxies are left out."""
    for address in variables.values():
        user = QUrl(address).userInfo(QUrl.ComponentFormattingOption.FullyEncoded)
        if user:
            text = text.replace(f"{user}@", "")
    return text


def _url(proxy: QNetworkProxy) -> str:
    """ "http://user:password@host:port", "" for a direct connection or a kind that pip does not speak."""
    scheme = _SCHEMES.get(proxy.type(), "")
    if not scheme or not proxy.hostName():
        return ""
    url = QUrl()
    url.setScheme(scheme)
    url.setHost(proxy.hostName())
    if proxy.port():
        url.setPort(proxy.port())
    if proxy.user():
        url.setUserName(proxy.user(), QUrl.ParsingMode.DecodedMode)
        url.setPassword(proxy.password(), QUrl.ParsingMode.DecodedMode)
    return url.toString(QUrl.ComponentFormattingOption.FullyEncoded)


def _hosts(addresses: List[str]) -> List[str]:
    """QGIS's exceptions begin with a scheme as often as not; pip wants names of hosts."""
    return [host for host in (QUrl.fromUserInput(text.strip()).host() for text in addresses) if host]
