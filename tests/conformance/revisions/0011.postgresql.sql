SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.jotgate_account_changes (
    kind text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL
);
CREATE TABLE public.jotgate_clients (
    name text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL COLLATE pg_catalog."C",
    tenant text NOT NULL COLLATE pg_catalog."C",
    authentication text NOT NULL COLLATE pg_catalog."C",
    grants text NOT NULL,
    scopes text NOT NULL,
    roles text NOT NULL,
    models text,
    audiences text NOT NULL,
    jwks bytea NOT NULL,
    secrets text NOT NULL,
    access_ttl_s bigint NOT NULL,
    enabled boolean NOT NULL,
    version bigint NOT NULL,
    created_at_s bigint NOT NULL,
    updated_at_s bigint NOT NULL,
    tls_subject_dn text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    tls_san_dns text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    tls_san_uri text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    binding text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.jotgate_counters (
    name text NOT NULL COLLATE pg_catalog."C",
    value bigint NOT NULL
);
CREATE TABLE public.jotgate_endless_tokens (
    digest text NOT NULL COLLATE pg_catalog."C",
    issuer text NOT NULL COLLATE pg_catalog."C",
    token_id text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    names text NOT NULL,
    issued_at_s bigint,
    first_seen_at_s bigint NOT NULL,
    last_seen_at_s bigint NOT NULL
);
CREATE TABLE public.jotgate_facts (
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.jotgate_families (
    family_id text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    tenant text NOT NULL COLLATE pg_catalog."C",
    scopes text NOT NULL,
    models text,
    audiences text NOT NULL,
    idle_s bigint NOT NULL,
    created_at_s bigint NOT NULL,
    ends_at_s bigint NOT NULL,
    ended_at_s bigint,
    version bigint NOT NULL,
    last_ends_at_s bigint NOT NULL,
    ancestors text DEFAULT '[]'::text NOT NULL,
    origins text DEFAULT '[]'::text NOT NULL,
    actors text DEFAULT '[]'::text NOT NULL,
    may_act text,
    voucher text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    confirmation text,
    limits text DEFAULT '[]'::text NOT NULL,
    roles text DEFAULT '[]'::text NOT NULL,
    login text
);
CREATE TABLE public.jotgate_issuances (
    token_id text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL COLLATE pg_catalog."C",
    kid text NOT NULL COLLATE pg_catalog."C",
    issued_at_s bigint NOT NULL,
    expires_at_s bigint NOT NULL,
    parent text COLLATE pg_catalog."C",
    family text COLLATE pg_catalog."C",
    actor text COLLATE pg_catalog."C",
    tenant text COLLATE pg_catalog."C",
    limits text DEFAULT '[]'::text NOT NULL,
    origins text DEFAULT '[]'::text NOT NULL
);
CREATE TABLE public.jotgate_issuers (
    name text NOT NULL COLLATE pg_catalog."C",
    content bytea NOT NULL,
    enabled boolean NOT NULL,
    version bigint NOT NULL,
    created_at_s bigint NOT NULL,
    updated_at_s bigint NOT NULL
);
CREATE TABLE public.jotgate_keys (
    kid text NOT NULL COLLATE pg_catalog."C",
    algorithm text NOT NULL COLLATE pg_catalog."C",
    public_jwk bytea NOT NULL,
    sealed bytea,
    state text NOT NULL COLLATE pg_catalog."C",
    created_at_s bigint NOT NULL,
    signs_from_s bigint,
    activated_at_s bigint,
    retired_at_s bigint,
    verifies_until_s bigint,
    ended_at_s bigint
);
CREATE TABLE public.jotgate_kong_credentials (
    credential_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    consumer text NOT NULL COLLATE pg_catalog."C",
    consumer_id text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    token_name text NOT NULL COLLATE pg_catalog."C",
    algorithm text NOT NULL COLLATE pg_catalog."C",
    public_key_pem text COLLATE pg_catalog."C",
    sealed bytea,
    created_at_s bigint NOT NULL,
    expires_at_s bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    changed_at_s bigint NOT NULL,
    description text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.jotgate_leases (
    lease_id text NOT NULL COLLATE pg_catalog."C",
    meter text NOT NULL COLLATE pg_catalog."C",
    window_s bigint NOT NULL,
    units bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    follows_lost boolean NOT NULL,
    pushed_us bigint NOT NULL,
    granted_at_ms bigint NOT NULL,
    spend_until_ms bigint NOT NULL,
    not_after_ms bigint NOT NULL
);
CREATE TABLE public.jotgate_ledger (
    meter text NOT NULL COLLATE pg_catalog."C",
    window_s bigint NOT NULL,
    ends_at_s bigint,
    unit text NOT NULL COLLATE pg_catalog."C",
    posted bigint NOT NULL,
    leased bigint NOT NULL,
    debt bigint NOT NULL,
    lost bigint NOT NULL,
    arrival_us bigint NOT NULL,
    keep_until_s bigint,
    label text NOT NULL
);
CREATE TABLE public.jotgate_limits (
    level text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL COLLATE pg_catalog."C",
    limits text NOT NULL,
    version bigint NOT NULL,
    created_at_s bigint NOT NULL,
    updated_at_s bigint NOT NULL
);
CREATE TABLE public.jotgate_logins (
    upstream text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C",
    origin text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL COLLATE pg_catalog."C",
    token_url text NOT NULL COLLATE pg_catalog."C",
    sealed bytea NOT NULL,
    begun_at_s bigint NOT NULL,
    obtained_at_s bigint NOT NULL,
    ends_at_s bigint,
    under_way_s bigint,
    version bigint NOT NULL,
    fault text NOT NULL COLLATE pg_catalog."C",
    faulted_at_s bigint
);
CREATE TABLE public.jotgate_marks (
    kind text NOT NULL COLLATE pg_catalog."C",
    handle text NOT NULL COLLATE pg_catalog."C",
    expires_at_s bigint NOT NULL,
    content bytea NOT NULL
);
CREATE TABLE public.jotgate_mcp_tools (
    server text NOT NULL COLLATE pg_catalog."C",
    tool text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    definition bytea NOT NULL,
    read_only boolean NOT NULL,
    pinned_at_s bigint NOT NULL,
    pinned_by text NOT NULL COLLATE pg_catalog."C",
    seen text NOT NULL COLLATE pg_catalog."C",
    seen_definition bytea NOT NULL,
    seen_read_only boolean NOT NULL,
    seen_at_s bigint NOT NULL,
    version bigint NOT NULL
);
CREATE TABLE public.jotgate_objects (
    owner text NOT NULL COLLATE pg_catalog."C",
    place text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    data bytea NOT NULL,
    version bigint NOT NULL,
    created_s bigint NOT NULL,
    used_s bigint NOT NULL,
    expires_s bigint NOT NULL
);
CREATE TABLE public.jotgate_personal_digests (
    digest bytea NOT NULL,
    token_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.jotgate_personal_tokens (
    token_id text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    scopes text NOT NULL,
    models text,
    secrets text NOT NULL,
    expires_at_s bigint NOT NULL,
    last_used_at_s bigint NOT NULL,
    last_used_from text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    created_at_s bigint NOT NULL,
    updated_at_s bigint NOT NULL,
    limits text DEFAULT '[]'::text NOT NULL
);
CREATE TABLE public.jotgate_policies (
    name text NOT NULL COLLATE pg_catalog."C",
    place bigint NOT NULL,
    content bytea NOT NULL,
    version bigint NOT NULL,
    created_at_s bigint NOT NULL
);
CREATE TABLE public.jotgate_principals (
    name text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL COLLATE pg_catalog."C",
    tenant text NOT NULL COLLATE pg_catalog."C",
    roles text NOT NULL,
    scopes text NOT NULL,
    models text,
    enabled boolean NOT NULL,
    version bigint NOT NULL,
    created_at_s bigint NOT NULL,
    updated_at_s bigint NOT NULL
);
CREATE TABLE public.jotgate_refresh_tokens (
    digest bytea NOT NULL,
    family_id text NOT NULL COLLATE pg_catalog."C",
    generation bigint NOT NULL,
    issued_at_s bigint NOT NULL,
    expires_at_s bigint NOT NULL,
    used_at_s bigint,
    successor bytea
);
CREATE TABLE public.jotgate_revocations (
    number bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    handle text NOT NULL COLLATE pg_catalog."C",
    revoked_at_s bigint NOT NULL,
    expires_at_s bigint,
    before_s bigint,
    reason text NOT NULL COLLATE pg_catalog."C",
    actor text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.jotgate_schema (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.jotgate_tenants (
    name text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL COLLATE pg_catalog."C",
    roles text NOT NULL,
    enabled boolean NOT NULL,
    version bigint NOT NULL,
    created_at_s bigint NOT NULL,
    updated_at_s bigint NOT NULL
);
INSERT INTO public.jotgate_account_changes VALUES ('tenant', 'acme', 1);
INSERT INTO public.jotgate_account_changes VALUES ('principal', 'ann', 2);
INSERT INTO public.jotgate_account_changes VALUES ('client', 'cli', 3);
INSERT INTO public.jotgate_account_changes VALUES ('personal_token', 'pt', 4);
INSERT INTO public.jotgate_clients VALUES ('cli', 'The ☃', 'acme', 'private_key_jwt', '["client_credentials","jwt_bearer"]', '["ai"]', '["dev","all"]', '["gpt-5","☃"]', '["https://one.example","https://two.example"]', '\x7b226b657973223a5b5d7d00ff', '[{"digest":"AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8=","created_at_s":19,"ends_at_s":4000000000},{"digest":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","created_at_s":20,"ends_at_s":null}]', 60, false, 3, 21, 22, '', '', '', '');
INSERT INTO public.jotgate_counters VALUES ('keys', 1);
INSERT INTO public.jotgate_counters VALUES ('issuers', 1);
INSERT INTO public.jotgate_counters VALUES ('revocations', 2);
INSERT INTO public.jotgate_counters VALUES ('accounts', 4);
INSERT INTO public.jotgate_counters VALUES ('policies', 1);
INSERT INTO public.jotgate_counters VALUES ('limits', 1);
INSERT INTO public.jotgate_counters VALUES ('mcp_tools', 1);
INSERT INTO public.jotgate_counters VALUES ('upstream_logins', 2);
INSERT INTO public.jotgate_endless_tokens VALUES ('5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f', 'chain', 'abababababababababababababababababababababababababababababababab', 'Ann''s ☃', '["token chain abababababababababababababababababababababababababababababababab","key chain secret-0"]', 42, 4000000000, 4000000060);
INSERT INTO public.jotgate_facts VALUES ('issuer', 'https://gateway.example');
INSERT INTO public.jotgate_families VALUES ('f', 'cli', 'ann', 'acme', '["ai"]', '["gpt-5"]', '["https://one.example"]', 29, 30, 4000000000, NULL, 1, 4000000000, '[]', '[]', '[]', NULL, '', NULL, '[]', '[]', NULL);
INSERT INTO public.jotgate_families VALUES ('logged-in', 'cli', 'ann', 'acme', '["ai"]', '["gpt-5"]', '["https://one.example"]', 29, 30, 4000000000, NULL, 0, 4000000000, '[]', '[]', '[]', NULL, '', NULL, '[]', '["user","api_access"]', '{"face":"api-gateway","name":"Ann ☃","email":"ann@example.com"}');
INSERT INTO public.jotgate_issuances VALUES ('token', 'ann', 'cli', 'new', 11, 4000000000, NULL, NULL, NULL, NULL, '[]', '[]');
INSERT INTO public.jotgate_issuances VALUES ('child', 'bob''s ☃', 'cli', 'new', 12, 4000000000, 'token', 'f', NULL, NULL, '[]', '[]');
INSERT INTO public.jotgate_issuances VALUES ('limited', 'ann', 'cli', 'new', 41, 4000000000, NULL, NULL, NULL, NULL, '[{"limit":{"unit":"cost","amount":5},"of":"https://i.example t"}]', '[]');
INSERT INTO public.jotgate_issuances VALUES ('narrowed', 'ann', 'cli', 'new', 42, 4000000000, 'token', NULL, 'agent', NULL, '[]', '["issued 12","token https://i.example acting","subject https://i.example agent☃"]');
INSERT INTO public.jotgate_issuers VALUES ('google', '\x7b22646973636f76657279223a2268747470733a2f2f6163636f756e74732e6578616d706c65227d', true, 1, 9, 10);
INSERT INTO public.jotgate_keys VALUES ('old', 'RS256', '\x7b226b7479223a22525341227d', NULL, 'gone', 1, 2, 3, 4, 5, 6);
INSERT INTO public.jotgate_keys VALUES ('new', 'ES256', '\x7b226b7479223a224543227d', '\x00ff7365616c6564', 'active', 7, NULL, 8, NULL, NULL, NULL);
INSERT INTO public.jotgate_kong_credentials VALUES ('6a0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d', 'k ☃', 'john_doe', '0c0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d', 'sub-1', 'my_token', 'HS256', NULL, '\x007365616c6564ff', 48, 4000000000, 'wanted', 49, 'for the notebook');
INSERT INTO public.jotgate_leases VALUES ('lease', 'f9S2XgiE63Y9taq1Wpu3HJUODUy6sw9NEN4o8FBHdrU', 0, 4, 'open', false, 0, 4000000000000, 4000000010000, 4000000015000);
INSERT INTO public.jotgate_ledger VALUES ('f9S2XgiE63Y9taq1Wpu3HJUODUy6sw9NEN4o8FBHdrU', 0, NULL, 'requests', 0, 4, 0, 0, 0, NULL, '{"quota":"ann","unit":"requests","window":"lifetime","per":["principal"],"holders":["https://gateway.example ann"]}');
INSERT INTO public.jotgate_limits VALUES ('principal', 'https://gateway.example ann', 'Ann ☃', '[{"unit":"requests","amount":1000,"window":"day","zone":"Europe/Berlin"},{"unit":"total_tokens","amount":60,"window":"rate","period_s":60,"burst":10}]', 1, 39, 40);
INSERT INTO public.jotgate_logins VALUES ('coze', '', 'login', 'client ☃', 'https://api.coze.example/token', '\x007365616c6564ff', 45, 46, 4000000000, 47, 1, '', NULL);
INSERT INTO public.jotgate_logins VALUES ('mcp:files', 'corp/Ann''s ☃', 'login', 'client ☃', 'https://api.coze.example/token', '\x007365616c6564ff', 45, 46, 4000000000, 47, 2, 'it was withdrawn', 52);
INSERT INTO public.jotgate_marks VALUES ('jti', 'https://ci.example assertion', 4000000000, '\x00ff');
INSERT INTO public.jotgate_mcp_tools VALUES ('files', 'write', '5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f', '\x7b226e616d65223a227772697465227d00ff', false, 50, 'Ann''s ☃', '6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f', '\x7b7d', true, 51, 1);
INSERT INTO public.jotgate_objects VALUES ('kq0kq0kq0kq0kq0kq0kq0kq0kq0kq0kq0kq0kq0kq0A', 'coze', 'coze.conversation', 'Ann''s ☃', '\x7b226964223a2237227d00ff', 1, 43, 44, 4000000000);
INSERT INTO public.jotgate_personal_digests VALUES ('\x0202020202020202020202020202020202020202020202020202020202020202', 'pt');
INSERT INTO public.jotgate_personal_digests VALUES ('\x03fe03fe03fe03fe03fe03fe03fe03fe03fe03fe03fe03fe03fe03fe03fe03fe', 'pt');
INSERT INTO public.jotgate_personal_tokens VALUES ('pt', 'ann', 'laptop', '["ai"]', '["gpt-5"]', '[{"digest":"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=","created_at_s":23,"ends_at_s":24},{"digest":"A/4D/gP+A/4D/gP+A/4D/gP+A/4D/gP+A/4D/gP+A/4=","created_at_s":25,"ends_at_s":null}]', 4000000000, 26, '192.0.2.1', 4, 27, 28, '[]');
INSERT INTO public.jotgate_policies VALUES ('second', 0, '\x7b226e616d65223a227365636f6e64222c22656666656374223a22616c6c6f77227d', 1, 37);
INSERT INTO public.jotgate_policies VALUES ('first', 1, '\x00ff', 1, 38);
INSERT INTO public.jotgate_principals VALUES ('ann', 'Ann''s', 'acme', '["dev"]', '["ai","models"]', '[]', false, 2, 17, 18);
INSERT INTO public.jotgate_refresh_tokens VALUES ('\x04fd04fd04fd04fd04fd04fd04fd04fd04fd04fd04fd04fd04fd04fd04fd04fd', 'f', 0, 31, 32, 33, '\x007365616c6564ff');
INSERT INTO public.jotgate_refresh_tokens VALUES ('\x0505050505050505050505050505050505050505050505050505050505050505', 'f', 1, 33, 4000000000, NULL, NULL);
INSERT INTO public.jotgate_refresh_tokens VALUES ('\x0606060606060606060606060606060606060606060606060606060606060606', 'logged-in', 0, 30, 4000000000, NULL, NULL);
INSERT INTO public.jotgate_revocations VALUES (1, 'token', 'token', 13, 4000000000, NULL, 'lost', 'ann');
INSERT INTO public.jotgate_revocations VALUES (2, 'subject', 'bob', 14, NULL, 14, '', '');
INSERT INTO public.jotgate_schema VALUES ('0011');
INSERT INTO public.jotgate_tenants VALUES ('acme', 'Acme ☃', '[{"name":"dev","scopes":["ai"],"models":["gpt-*"]},{"name":"all","scopes":["ai","models"],"models":null}]', false, 1, 15, 16);
ALTER TABLE ONLY public.jotgate_account_changes
    ADD CONSTRAINT jotgate_account_changes_pkey PRIMARY KEY (kind, name);
ALTER TABLE ONLY public.jotgate_clients
    ADD CONSTRAINT jotgate_clients_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.jotgate_counters
    ADD CONSTRAINT jotgate_counters_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.jotgate_endless_tokens
    ADD CONSTRAINT jotgate_endless_tokens_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.jotgate_facts
    ADD CONSTRAINT jotgate_facts_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.jotgate_families
    ADD CONSTRAINT jotgate_families_pkey PRIMARY KEY (family_id);
ALTER TABLE ONLY public.jotgate_issuances
    ADD CONSTRAINT jotgate_issuances_pkey PRIMARY KEY (token_id);
ALTER TABLE ONLY public.jotgate_issuers
    ADD CONSTRAINT jotgate_issuers_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.jotgate_keys
    ADD CONSTRAINT jotgate_keys_pkey PRIMARY KEY (kid);
ALTER TABLE ONLY public.jotgate_kong_credentials
    ADD CONSTRAINT jotgate_kong_credentials_pkey PRIMARY KEY (credential_id);
ALTER TABLE ONLY public.jotgate_leases
    ADD CONSTRAINT jotgate_leases_pkey PRIMARY KEY (lease_id);
ALTER TABLE ONLY public.jotgate_ledger
    ADD CONSTRAINT jotgate_ledger_pkey PRIMARY KEY (meter, window_s);
ALTER TABLE ONLY public.jotgate_limits
    ADD CONSTRAINT jotgate_limits_pkey PRIMARY KEY (level, holder);
ALTER TABLE ONLY public.jotgate_logins
    ADD CONSTRAINT jotgate_logins_pkey PRIMARY KEY (upstream, holder);
ALTER TABLE ONLY public.jotgate_marks
    ADD CONSTRAINT jotgate_marks_pkey PRIMARY KEY (kind, handle);
ALTER TABLE ONLY public.jotgate_mcp_tools
    ADD CONSTRAINT jotgate_mcp_tools_pkey PRIMARY KEY (server, tool);
ALTER TABLE ONLY public.jotgate_objects
    ADD CONSTRAINT jotgate_objects_pkey PRIMARY KEY (owner, place, kind, name);
ALTER TABLE ONLY public.jotgate_personal_digests
    ADD CONSTRAINT jotgate_personal_digests_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.jotgate_personal_tokens
    ADD CONSTRAINT jotgate_personal_tokens_pkey PRIMARY KEY (token_id);
ALTER TABLE ONLY public.jotgate_policies
    ADD CONSTRAINT jotgate_policies_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.jotgate_principals
    ADD CONSTRAINT jotgate_principals_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.jotgate_refresh_tokens
    ADD CONSTRAINT jotgate_refresh_tokens_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.jotgate_revocations
    ADD CONSTRAINT jotgate_revocations_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.jotgate_schema
    ADD CONSTRAINT jotgate_schema_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.jotgate_tenants
    ADD CONSTRAINT jotgate_tenants_pkey PRIMARY KEY (name);
CREATE UNIQUE INDEX jotgate_account_changes_version ON public.jotgate_account_changes USING btree (version);
CREATE INDEX jotgate_clients_tenant ON public.jotgate_clients USING btree (tenant, name);
CREATE INDEX jotgate_endless_tokens_seen ON public.jotgate_endless_tokens USING btree (last_seen_at_s, digest);
CREATE INDEX jotgate_families_client ON public.jotgate_families USING btree (client_id, family_id);
CREATE INDEX jotgate_families_end ON public.jotgate_families USING btree (last_ends_at_s);
CREATE INDEX jotgate_families_subject ON public.jotgate_families USING btree (subject, family_id);
CREATE INDEX jotgate_issuances_client ON public.jotgate_issuances USING btree (client_id, expires_at_s);
CREATE INDEX jotgate_issuances_end ON public.jotgate_issuances USING btree (expires_at_s);
CREATE INDEX jotgate_issuances_family ON public.jotgate_issuances USING btree (family);
CREATE INDEX jotgate_issuances_parent ON public.jotgate_issuances USING btree (parent);
CREATE INDEX jotgate_issuances_subject ON public.jotgate_issuances USING btree (subject, expires_at_s);
CREATE INDEX jotgate_kong_credentials_consumer ON public.jotgate_kong_credentials USING btree (consumer, credential_id);
CREATE INDEX jotgate_kong_credentials_end ON public.jotgate_kong_credentials USING btree (state, expires_at_s);
CREATE UNIQUE INDEX jotgate_kong_credentials_key ON public.jotgate_kong_credentials USING btree (key) WHERE (state <> 'gone'::text);
CREATE UNIQUE INDEX jotgate_kong_credentials_name ON public.jotgate_kong_credentials USING btree (consumer, token_name) WHERE (state = ANY (ARRAY['wanted'::text, 'held'::text]));
CREATE INDEX jotgate_kong_credentials_state ON public.jotgate_kong_credentials USING btree (state, changed_at_s);
CREATE INDEX jotgate_kong_credentials_subject ON public.jotgate_kong_credentials USING btree (subject, credential_id);
CREATE INDEX jotgate_leases_end ON public.jotgate_leases USING btree (state, not_after_ms);
CREATE INDEX jotgate_leases_meter ON public.jotgate_leases USING btree (meter, window_s) WHERE (state = 'open'::text);
CREATE INDEX jotgate_ledger_end ON public.jotgate_ledger USING btree (keep_until_s);
CREATE INDEX jotgate_marks_end ON public.jotgate_marks USING btree (expires_at_s);
CREATE INDEX jotgate_objects_end ON public.jotgate_objects USING btree (expires_s);
CREATE INDEX jotgate_personal_digests_token ON public.jotgate_personal_digests USING btree (token_id);
CREATE INDEX jotgate_personal_tokens_end ON public.jotgate_personal_tokens USING btree (expires_at_s);
CREATE UNIQUE INDEX jotgate_personal_tokens_name ON public.jotgate_personal_tokens USING btree (owner, name);
CREATE INDEX jotgate_personal_tokens_owner ON public.jotgate_personal_tokens USING btree (owner, token_id);
CREATE INDEX jotgate_principals_tenant ON public.jotgate_principals USING btree (tenant, name);
CREATE INDEX jotgate_refresh_tokens_family ON public.jotgate_refresh_tokens USING btree (family_id, generation);
CREATE INDEX jotgate_refresh_tokens_sealed ON public.jotgate_refresh_tokens USING btree (used_at_s) WHERE (successor IS NOT NULL);
CREATE INDEX jotgate_revocations_end ON public.jotgate_revocations USING btree (expires_at_s);
CREATE INDEX jotgate_revocations_handle ON public.jotgate_revocations USING btree (kind, handle);
