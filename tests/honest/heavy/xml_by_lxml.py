# needs: lxml
# flags: --import lxml
# prints: 7.0
# prints: 2 ac
from lxml import etree, html

root = etree.fromstring("<shop><item price='3'/><item price='4'/></shop>")
print(root.xpath("sum(//item/@price)"))
style = etree.XSLT(
    etree.fromstring(
        "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>"
        "<xsl:output method='text'/>"
        "<xsl:template match='/'><xsl:value-of select='count(//item)'/></xsl:template>"
        "</xsl:stylesheet>"
    )
)
print(str(style(root)), html.fromstring("<p>a<b>c</b></p>").text_content())
