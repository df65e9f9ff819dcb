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
CREATE TABLE public.jotgate_counters (
    name text NOT NULL COLLATE pg_catalog."C",
    value bigint NOT NULL
);
CREATE TABLE public.jotgate_facts (
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.jotgate_issuances (
    token_id text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL COLLATE pg_catalog."C",
    kid text NOT NULL COLLATE pg_catalog."C",
    issued_at_s bigint NOT NULL,
    expires_at_s bigint NOT NULL,
    parent text COLLATE pg_catalog."C",
    family text COLLATE pg_catalog."C"
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
INSERT INTO public.jotgate_counters VALUES ('keys', 1);
INSERT INTO public.jotgate_counters VALUES ('issuers', 1);
INSERT INTO public.jotgate_counters VALUES ('revocations', 2);
INSERT INTO public.jotgate_facts VALUES ('issuer', 'https://gateway.example');
INSERT INTO public.jotgate_issuances VALUES ('token', 'ann', 'cli', 'new', 11, 4000000000, NULL, NULL);
INSERT INTO public.jotgate_issuances VALUES ('child', 'bob''s ☃', 'cli', 'new', 12, 4000000000, 'token', 'f');
INSERT INTO public.jotgate_issuers VALUES ('google', '\x7b22646973636f76657279223a2268747470733a2f2f6163636f756e74732e6578616d706c65227d', true, 1, 9, 10);
INSERT INTO public.jotgate_keys VALUES ('old', 'RS256', '\x7b226b7479223a22525341227d', NULL, 'gone', 1, 2, 3, 4, 5, 6);
INSERT INTO public.jotgate_keys VALUES ('new', 'ES256', '\x7b226b7479223a224543227d', '\x00ff7365616c6564', 'active', 7, NULL, 8, NULL, NULL, NULL);
INSERT INTO public.jotgate_revocations VALUES (1, 'token', 'token', 13, 4000000000, NULL, 'lost', 'ann');
INSERT INTO public.jotgate_revocations VALUES (2, 'subject', 'bob', 14, NULL, 14, '', '');
INSERT INTO public.jotgate_schema VALUES ('0001');
ALTER TABLE ONLY public.jotgate_counters
    ADD CONSTRAINT jotgate_counters_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.jotgate_facts
    ADD CONSTRAINT jotgate_facts_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.jotgate_issuances
    ADD CONSTRAINT jotgate_issuances_pkey PRIMARY KEY (token_id);
ALTER TABLE ONLY public.jotgate_issuers
    ADD CONSTRAINT jotgate_issuers_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.jotgate_keys
    ADD CONSTRAINT jotgate_keys_pkey PRIMARY KEY (kid);
ALTER TABLE ONLY public.jotgate_revocations
    ADD CONSTRAINT jotgate_revocations_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.jotgate_schema
    ADD CONSTRAINT jotgate_schema_pkc PRIMARY KEY (version_num);
CREATE INDEX jotgate_issuances_client ON public.jotgate_issuances USING btree (client_id, expires_at_s);
CREATE INDEX jotgate_issuances_end ON public.jotgate_issuances USING btree (expires_at_s);
CREATE INDEX jotgate_issuances_family ON public.jotgate_issuances USING btree (family);
CREATE INDEX jotgate_issuances_parent ON public.jotgate_issuances USING btree (parent);
CREATE INDEX jotgate_issuances_subject ON public.jotgate_issuances USING btree (subject, expires_at_s);
CREATE INDEX jotgate_revocations_end ON public.jotgate_revocations USING btree (expires_at_s);
CREATE INDEX jotgate_revocations_handle ON public.jotgate_revocations USING btree (kind, handle);
