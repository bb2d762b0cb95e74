"""The chassis' tables, the same in every module's schema. A change of them is a further version and a further migration."""
