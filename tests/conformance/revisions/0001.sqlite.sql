BEGIN TRANSACTION;
CREATE TABLE jotgate_counters (
	name TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "jotgate_counters" VALUES('keys',1);
INSERT INTO "jotgate_counters" VALUES('issuers',1);
INSERT INTO "jotgate_counters" VALUES('revocations',2);
CREATE TABLE jotgate_facts (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "jotgate_facts" VALUES('issuer','https://gateway.example');
CREATE TABLE jotgate_issuances (
	token_id TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	client_id TEXT NOT NULL, 
	kid TEXT NOT NULL, 
	issued_at_s BIGINT NOT NULL, 
	expires_at_s BIGINT NOT NULL, 
	parent TEXT, 
	family TEXT, 
	PRIMARY KEY (token_id)
);
INSERT INTO "jotgate_issuances" VALUES('token','ann','cli','new',11,4000000000,NULL,NULL);
INSERT INTO "jotgate_issuances" VALUES('child','bob''s ☃','cli','new',12,4000000000,'token','f');
CREATE TABLE jotgate_issuers (
	name TEXT NOT NULL, 
	content BLOB NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	version BIGINT NOT NULL, 
	created_at_s BIGINT NOT NULL, 
	updated_at_s BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "jotgate_issuers" VALUES('google',X'7B22646973636F76657279223A2268747470733A2F2F6163636F756E74732E6578616D706C65227D',1,1,9,10);
CREATE TABLE jotgate_keys (
	kid TEXT NOT NULL, 
	algorithm TEXT NOT NULL, 
	public_jwk BLOB NOT NULL, 
	sealed BLOB, 
	state TEXT NOT NULL, 
	created_at_s BIGINT NOT NULL, 
	signs_from_s BIGINT, 
	activated_at_s BIGINT, 
	retired_at_s BIGINT, 
	verifies_until_s BIGINT, 
	ended_at_s BIGINT, 
	PRIMARY KEY (kid)
);
INSERT INTO "jotgate_keys" VALUES('old','RS256',X'7B226B7479223A22525341227D',NULL,'gone',1,2,3,4,5,6);
INSERT INTO "jotgate_keys" VALUES('new','ES256',X'7B226B7479223A224543227D',X'00FF7365616C6564','active',7,NULL,8,NULL,NULL,NULL);
CREATE TABLE jotgate_revocations (
	number BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	handle TEXT NOT NULL, 
	revoked_at_s BIGINT NOT NULL, 
	expires_at_s BIGINT, 
	before_s BIGINT, 
	reason TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "jotgate_revocations" VALUES(1,'token','token',13,4000000000,NULL,'lost','ann');
INSERT INTO "jotgate_revocations" VALUES(2,'subject','bob',14,NULL,14,'','');
CREATE TABLE jotgate_schema (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT jotgate_schema_pkc PRIMARY KEY (version_num)
);
INSERT INTO "jotgate_schema" VALUES('0001');
CREATE INDEX jotgate_issuances_subject ON jotgate_issuances (subject, expires_at_s);
CREATE INDEX jotgate_issuances_client ON jotgate_issuances (client_id, expires_at_s);
CREATE INDEX jotgate_issuances_parent ON jotgate_issuances (parent);
CREATE INDEX jotgate_issuances_family ON jotgate_issuances (family);
CREATE INDEX jotgate_issuances_end ON jotgate_issuances (expires_at_s);
CREATE INDEX jotgate_revocations_handle ON jotgate_revocations (kind, handle);
CREATE INDEX jotgate_revocations_end ON jotgate_revocations (expires_at_s);
COMMIT;
