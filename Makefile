# What a person does with this tree. `make` alone says what each target is for.

PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test test-numa bench header lint install

help:
	@echo 'Ostler: memory, pools and warm workers behind one C header.'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
	@echo
	@echo 'demo and test do the set-up that they need by themselves. install takes PREFIX, LIBDIR and DESTDIR.'

setup: ## install what building, the demo and the tests need (the others call it as needed)
	@scripts/setup.sh build demo test lint

demo: ## read pages of text with Tesseract: a new engine for each page beside warm workers
	@scripts/setup.sh build demo
	@scripts/build.sh release
	@scripts/demo.sh

test: ## run every test suite; the last line counts all of them
	@scripts/setup.sh build demo test
	@scripts/setup.sh numa || true
	@tests/run.sh

test-numa: ## test memory on a virtual machine with four NUMA nodes; a part of test where QEMU is to be had
	@scripts/setup.sh build numa
	@tests/run.sh numa

bench: ## measure Ostler beside its peers and write target/bench/results.json
	@scripts/setup.sh build bench
	@scripts/build.sh release
	@benches/run.sh

header: ## write include/ostler.h anew from the doc comments of src/abi
	@scripts/setup.sh build
	@source scripts/lib.sh && cargo run --quiet --package ostler-header

lint: ## check formatting, warnings and the freshness of generated files
	@scripts/setup.sh build lint
	@scripts/lint.sh

install: ## lay headers, libraries, pkg-config file and CMake package into PREFIX
	@scripts/build.sh --if-possible release
	@scripts/install.sh target/release '$(PREFIX)' '$(LIBDIR)' '$(DESTDIR)'
