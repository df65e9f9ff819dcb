BEGIN TRANSACTION;
CREATE TABLE jotgate_account_changes (
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	PRIMARY KEY (kind, name)
);
INSERT INTO "jotgate_account_changes" VALUES('tenant','acme',1);
INSERT INTO "jotgate_account_changes" VALUES('principal','ann',2);
INSERT INTO "jotgate_account_changes" VALUES('client','cli',3);
INSERT INTO "jotgate_account_changes" VALUES('personal_token','pt',4);
CREATE TABLE jotgate_clients (
	name TEXT NOT NULL, 
	title TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	authentication TEXT NOT NULL, 
	grants TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	roles TEXT NOT NULL, 
	models TEXT, 
	audiences TEXT NOT NULL, 
	jwks BLOB NOT NULL, 
	secrets TEXT NOT NULL, 
	access_ttl_s BIGINT NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	version BIGINT NOT NULL, 
	created_at_s BIGINT NOT NULL, 
	updated_at_s BIGINT NOT NULL, tls_subject_dn TEXT DEFAULT '' NOT NULL, tls_san_dns TEXT DEFAULT '' NOT NULL, tls_san_uri TEXT DEFAULT '' NOT NULL, binding TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "jotgate_clients" VALUES('cli','The ☃','acme','private_key_jwt','["client_credentials","jwt_bearer"]','["ai"]','["dev","all"]','["gpt-5","☃"]','["https://one.example","https://two.example"]',X'7B226B657973223A5B5D7D00FF','[{"digest":"AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8=","created_at_s":19,"ends_at_s":4000000000},{"digest":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","created_at_s":20,"ends_at_s":null}]',60,0,3,21,22,'','','','');
CREATE TABLE jotgate_counters (
	name TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "jotgate_counters" VALUES('keys',1);
INSERT INTO "jotgate_counters" VALUES('issuers',1);
INSERT INTO "jotgate_counters" VALUES('revocations',2);
INSERT INTO "jotgate_counters" VALUES('accounts',4);
INSERT INTO "jotgate_counters" VALUES('policies',1);
INSERT INTO "jotgate_counters" VALUES('limits',1);
INSERT INTO "jotgate_counters" VALUES('upstream_logins',2);
INSERT INTO "jotgate_counters" VALUES('mcp_tools',1);
CREATE TABLE jotgate_endless_tokens (
	digest TEXT NOT NULL, 
	issuer TEXT NOT NULL, 
	token_id TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	names TEXT NOT NULL, 
	issued_at_s BIGINT, 
	first_seen_at_s BIGINT NOT NULL, 
	last_seen_at_s BIGINT NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "jotgate_endless_tokens" VALUES('5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f','chain','abababababababababababababababababababababababababababababababab','Ann''s ☃','["token chain abababababababababababababababababababababababababababababababab","key chain secret-0"]',42,4000000000,4000000060);
CREATE TABLE jotgate_facts (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "jotgate_facts" VALUES('issuer','https://gateway.example');
CREATE TABLE jotgate_families (
	family_id TEXT NOT NULL, 
	client_id TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	models TEXT, 
	audiences TEXT NOT NULL, 
	idle_s BIGINT NOT NULL, 
	created_at_s BIGINT NOT NULL, 
	ends_at_s BIGINT NOT NULL, 
	ended_at_s BIGINT, 
	version BIGINT NOT NULL, 
	last_ends_at_s BIGINT NOT NULL, ancestors TEXT DEFAULT '[]' NOT NULL, origins TEXT DEFAULT '[]' NOT NULL, actors TEXT DEFAULT '[]' NOT NULL, may_act TEXT, voucher TEXT DEFAULT '' NOT NULL, confirmation TEXT, limits TEXT DEFAULT '[]' NOT NULL, roles TEXT DEFAULT '[]' NOT NULL, login TEXT, 
	PRIMARY KEY (family_id)
);
INSERT INTO "jotgate_families" VALUES('f','cli','ann','acme','["ai"]','["gpt-5"]','["https://one.example"]',29,30,4000000000,NULL,1,4000000000,'[]','[]','[]',NULL,'',NULL,'[]','[]',NULL);
INSERT INTO "jotgate_families" VALUES('logged-in','cli','ann','acme','["ai"]','["gpt-5"]','["https://one.example"]',29,30,4000000000,NULL,0,4000000000,'[]','[]','[]',NULL,'',NULL,'[]','["user","api_access"]','{"face":"api-gateway","name":"Ann ☃","email":"ann@example.com"}');
CREATE TABLE jotgate_issuances (
	token_id TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	client_id TEXT NOT NULL, 
	kid TEXT NOT NULL, 
	issued_at_s BIGINT NOT NULL, 
	expires_at_s BIGINT NOT NULL, 
	parent TEXT, 
	family TEXT, actor TEXT, tenant TEXT, limits TEXT DEFAULT '[]' NOT NULL, origins TEXT DEFAULT '[]' NOT NULL, 
	PRIMARY KEY (token_id)
);
INSERT INTO "jotgate_issuances" VALUES('token','ann','cli','new',11,4000000000,NULL,NULL,NULL,NULL,'[]','[]');
INSERT INTO "jotgate_issuances" VALUES('child','bob''s ☃','cli','new',12,4000000000,'token','f',NULL,NULL,'[]','[]');
INSERT INTO "jotgate_issuances" VALUES('limited','ann','cli','new',41,4000000000,NULL,NULL,NULL,NULL,'[{"limit":{"unit":"cost","amount":5},"of":"https://i.example t"}]','[]');
INSERT INTO "jotgate_issuances" VALUES('narrowed','ann','cli','new',42,4000000000,'token',NULL,'agent',NULL,'[]','["issued 12","token https://i.example acting","subject https://i.example agent☃"]');
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
CREATE TABLE jotgate_kong_credentials (
	credential_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	consumer TEXT NOT NULL, 
	consumer_id TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	token_name TEXT NOT NULL, 
	algorithm TEXT NOT NULL, 
	public_key_pem TEXT, 
	sealed BLOB, 
	created_at_s BIGINT NOT NULL, 
	expires_at_s BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	changed_at_s BIGINT NOT NULL, 
	description TEXT NOT NULL, 
	PRIMARY KEY (credential_id)
);
INSERT INTO "jotgate_kong_credentials" VALUES('6a0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d','k ☃','john_doe','0c0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d','sub-1','my_token','HS256',NULL,X'007365616C6564FF',48,4000000000,'wanted',49,'for the notebook');
CREATE TABLE jotgate_leases (
	lease_id TEXT NOT NULL, 
	meter TEXT NOT NULL, 
	window_s BIGINT NOT NULL, 
	units BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	follows_lost BOOLEAN NOT NULL, 
	pushed_us BIGINT NOT NULL, 
	granted_at_ms BIGINT NOT NULL, 
	spend_until_ms BIGINT NOT NULL, 
	not_after_ms BIGINT NOT NULL, 
	PRIMARY KEY (lease_id)
);
INSERT INTO "jotgate_leases" VALUES('lease','f9S2XgiE63Y9taq1Wpu3HJUODUy6sw9NEN4o8FBHdrU',0,4,'open',0,0,4000000000000,4000000010000,4000000015000);
CREATE TABLE jotgate_ledger (
	meter TEXT NOT NULL, 
	window_s BIGINT NOT NULL, 
	ends_at_s BIGINT, 
	unit TEXT NOT NULL, 
	posted BIGINT NOT NULL, 
	leased BIGINT NOT NULL, 
	debt BIGINT NOT NULL, 
	lost BIGINT NOT NULL, 
	arrival_us BIGINT NOT NULL, 
	keep_until_s BIGINT, 
	label TEXT NOT NULL, 
	PRIMARY KEY (meter, window_s)
);
INSERT INTO "jotgate_ledger" VALUES('f9S2XgiE63Y9taq1Wpu3HJUODUy6sw9NEN4o8FBHdrU',0,NULL,'requests',0,4,0,0,0,NULL,'{"quota":"ann","unit":"requests","window":"lifetime","per":["principal"],"holders":["https://gateway.example ann"]}');
CREATE TABLE jotgate_limits (
	level TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	title TEXT NOT NULL, 
	limits TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	created_at_s BIGINT NOT NULL, 
	updated_at_s BIGINT NOT NULL, 
	PRIMARY KEY (level, holder)
);
INSERT INTO "jotgate_limits" VALUES('principal','https://gateway.example ann','Ann ☃','[{"unit":"requests","amount":1000,"window":"day","zone":"Europe/Berlin"},{"unit":"total_tokens","amount":60,"window":"rate","period_s":60,"burst":10}]',1,39,40);
CREATE TABLE jotgate_logins (
	upstream TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	client_id TEXT NOT NULL, 
	token_url TEXT NOT NULL, 
	sealed BLOB NOT NULL, 
	begun_at_s BIGINT NOT NULL, 
	obtained_at_s BIGINT NOT NULL, 
	ends_at_s BIGINT, 
	under_way_s BIGINT, 
	version BIGINT NOT NULL, 
	fault TEXT NOT NULL, 
	faulted_at_s BIGINT, 
	PRIMARY KEY (upstream, holder)
);
INSERT INTO "jotgate_logins" VALUES('coze','','login','client ☃','https://api.coze.example/token',X'007365616C6564FF',45,46,4000000000,47,1,'',NULL);
INSERT INTO "jotgate_logins" VALUES('mcp:files','corp/Ann''s ☃','login','client ☃','https://api.coze.example/token',X'007365616C6564FF',45,46,4000000000,47,2,'it was withdrawn',52);
CREATE TABLE jotgate_marks (
	kind TEXT NOT NULL, 
	handle TEXT NOT NULL, 
	expires_at_s BIGINT NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (kind, handle)
);
INSERT INTO "jotgate_marks" VALUES('jti','https://ci.example assertion',4000000000,X'00FF');
CREATE TABLE jotgate_mcp_tools (
	server TEXT NOT NULL, 
	tool TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	definition BLOB NOT NULL, 
	read_only BOOLEAN NOT NULL, 
	pinned_at_s BIGINT NOT NULL, 
	pinned_by TEXT NOT NULL, 
	seen TEXT NOT NULL, 
	seen_definition BLOB NOT NULL, 
	seen_read_only BOOLEAN NOT NULL, 
	seen_at_s BIGINT NOT NULL, 
	version BIGINT NOT NULL, 
	PRIMARY KEY (server, tool)
);
INSERT INTO "jotgate_mcp_tools" VALUES('files','write','5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f',X'7B226E616D65223A227772697465227D00FF',0,50,'Ann''s ☃','6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f',X'7B7D',1,51,1);
CREATE TABLE jotgate_objects (
	owner TEXT NOT NULL, 
	place TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	data BLOB NOT NULL, 
	version BIGINT NOT NULL, 
	created_s BIGINT NOT NULL, 
	used_s BIGINT NOT NULL, 
	expires_s BIGINT NOT NULL, 
	PRIMARY KEY (owner, place, kind, name)
);
INSERT INTO "jotgate_objects" VALUES('kq0kq0kq0kq0kq0kq0kq0kq0kq0kq0kq0kq0kq0kq0A','coze','coze.conversation','Ann''s ☃',X'7B226964223A2237227D00FF',1,43,44,4000000000);
CREATE TABLE jotgate_personal_digests (
	digest BLOB NOT NULL, 
	token_id TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "jotgate_personal_digests" VALUES(X'0202020202020202020202020202020202020202020202020202020202020202','pt');
INSERT INTO "jotgate_personal_digests" VALUES(X'03FE03FE03FE03FE03FE03FE03FE03FE03FE03FE03FE03FE03FE03FE03FE03FE','pt');
CREATE TABLE jotgate_personal_tokens (
	token_id TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	name TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	models TEXT, 
	secrets TEXT NOT NULL, 
	expires_at_s BIGINT NOT NULL, 
	last_used_at_s BIGINT NOT NULL, 
	last_used_from TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	created_at_s BIGINT NOT NULL, 
	updated_at_s BIGINT NOT NULL, limits TEXT DEFAULT '[]' NOT NULL, 
	PRIMARY KEY (token_id)
);
INSERT INTO "jotgate_personal_tokens" VALUES('pt','ann','laptop','["ai"]','["gpt-5"]','[{"digest":"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=","created_at_s":23,"ends_at_s":24},{"digest":"A/4D/gP+A/4D/gP+A/4D/gP+A/4D/gP+A/4D/gP+A/4=","created_at_s":25,"ends_at_s":null}]',4000000000,26,'192.0.2.1',4,27,28,'[]');
CREATE TABLE jotgate_policies (
	name TEXT NOT NULL, 
	place BIGINT NOT NULL, 
	content BLOB NOT NULL, 
	version BIGINT NOT NULL, 
	created_at_s BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "jotgate_policies" VALUES('second',0,X'7B226E616D65223A227365636F6E64222C22656666656374223A22616C6C6F77227D',1,37);
INSERT INTO "jotgate_policies" VALUES('first',1,X'00FF',1,38);
CREATE TABLE jotgate_principals (
	name TEXT NOT NULL, 
	title TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	roles TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	models TEXT, 
	enabled BOOLEAN NOT NULL, 
	version BIGINT NOT NULL, 
	created_at_s BIGINT NOT NULL, 
	updated_at_s BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "jotgate_principals" VALUES('ann','Ann''s','acme','["dev"]','["ai","models"]','[]',0,2,17,18);
CREATE TABLE jotgate_refresh_tokens (
	digest BLOB NOT NULL, 
	family_id TEXT NOT NULL, 
	generation BIGINT NOT NULL, 
	issued_at_s BIGINT NOT NULL, 
	expires_at_s BIGINT NOT NULL, 
	used_at_s BIGINT, 
	successor BLOB, 
	PRIMARY KEY (digest)
);
INSERT INTO "jotgate_refresh_tokens" VALUES(X'04FD04FD04FD04FD04FD04FD04FD04FD04FD04FD04FD04FD04FD04FD04FD04FD','f',0,31,32,33,X'007365616C6564FF');
INSERT INTO "jotgate_refresh_tokens" VALUES(X'0505050505050505050505050505050505050505050505050505050505050505','f',1,33,4000000000,NULL,NULL);
INSERT INTO "jotgate_refresh_tokens" VALUES(X'0606060606060606060606060606060606060606060606060606060606060606','logged-in',0,30,4000000000,NULL,NULL);
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
INSERT INTO "jotgate_schema" VALUES('0011');
CREATE TABLE jotgate_tenants (
	name TEXT NOT NULL, 
	title TEXT NOT NULL, 
	roles TEXT NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	version BIGINT NOT NULL, 
	created_at_s BIGINT NOT NULL, 
	updated_at_s BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "jotgate_tenants" VALUES('acme','Acme ☃','[{"name":"dev","scopes":["ai"],"models":["gpt-*"]},{"name":"all","scopes":["ai","models"],"models":null}]',0,1,15,16);
CREATE INDEX jotgate_issuances_subject ON jotgate_issuances (subject, expires_at_s);
CREATE INDEX jotgate_issuances_client ON jotgate_issuances (client_id, expires_at_s);
CREATE INDEX jotgate_issuances_parent ON jotgate_issuances (parent);
CREATE INDEX jotgate_issuances_family ON jotgate_issuances (family);
CREATE INDEX jotgate_issuances_end ON jotgate_issuances (expires_at_s);
CREATE INDEX jotgate_revocations_handle ON jotgate_revocations (kind, handle);
CREATE INDEX jotgate_revocations_end ON jotgate_revocations (expires_at_s);
CREATE INDEX jotgate_principals_tenant ON jotgate_principals (tenant, name);
CREATE INDEX jotgate_clients_tenant ON jotgate_clients (tenant, name);
CREATE UNIQUE INDEX jotgate_personal_tokens_name ON jotgate_personal_tokens (owner, name);
CREATE INDEX jotgate_personal_tokens_owner ON jotgate_personal_tokens (owner, token_id);
CREATE INDEX jotgate_personal_tokens_end ON jotgate_personal_tokens (expires_at_s);
CREATE INDEX jotgate_personal_digests_token ON jotgate_personal_digests (token_id);
CREATE UNIQUE INDEX jotgate_account_changes_version ON jotgate_account_changes (version);
CREATE INDEX jotgate_families_client ON jotgate_families (client_id, family_id);
CREATE INDEX jotgate_families_subject ON jotgate_families (subject, family_id);
CREATE INDEX jotgate_families_end ON jotgate_families (last_ends_at_s);
CREATE INDEX jotgate_refresh_tokens_family ON jotgate_refresh_tokens (family_id, generation);
CREATE INDEX jotgate_refresh_tokens_sealed ON jotgate_refresh_tokens (used_at_s) WHERE successor IS NOT NULL;
CREATE INDEX jotgate_marks_end ON jotgate_marks (expires_at_s);
CREATE INDEX jotgate_ledger_end ON jotgate_ledger (keep_until_s);
CREATE INDEX jotgate_leases_end ON jotgate_leases (state, not_after_ms);
CREATE INDEX jotgate_leases_meter ON jotgate_leases (meter, window_s) WHERE state = 'open';
CREATE INDEX jotgate_endless_tokens_seen ON jotgate_endless_tokens (last_seen_at_s, digest);
CREATE INDEX jotgate_objects_end ON jotgate_objects (expires_s);
CREATE UNIQUE INDEX jotgate_kong_credentials_name ON jotgate_kong_credentials (consumer, token_name) WHERE state IN ('wanted', 'held');
CREATE UNIQUE INDEX jotgate_kong_credentials_key ON jotgate_kong_credentials ("key") WHERE state <> 'gone';
CREATE INDEX jotgate_kong_credentials_consumer ON jotgate_kong_credentials (consumer, credential_id);
CREATE INDEX jotgate_kong_credentials_subject ON jotgate_kong_credentials (subject, credential_id);
CREATE INDEX jotgate_kong_credentials_state ON jotgate_kong_credentials (state, changed_at_s);
CREATE INDEX jotgate_kong_credentials_end ON jotgate_kong_credentials (state, expires_at_s);
COMMIT;
