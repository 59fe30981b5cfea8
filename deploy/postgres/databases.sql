-- Run once by the postgres image, when its volume is empty: two roles that own their databases and
-- nothing else, so neither Segue nor Temporal is a superuser or sees the other's rows.

\getenv segue_password SEGUE_DB_PASSWORD
\getenv temporal_password TEMPORAL_DB_PASSWORD

CREATE ROLE segue_app LOGIN PASSWORD :'segue_password';
CREATE DATABASE segue OWNER segue_app;

CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;

REVOKE CONNECT, TEMPORARY ON DATABASE segue, temporal, temporal_visibility FROM PUBLIC;
