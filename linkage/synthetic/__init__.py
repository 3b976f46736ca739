"""A made-up county with known truth, for the demonstration and the tests."""

from linkage.synthetic.agreement import demo_manifest
from linkage.synthetic.county import County, CountyFiles, write_county

__all__ = ["County", "CountyFiles", "demo_manifest", "write_county"]
