# SPDX-License-Identifier: Apache-2.0
# The short names of what people do here; CMake and scripts/ do the work.
.DEFAULT_GOAL := help
.PHONY: help run test fault demo bench bench-scale bench-proxy asan tsan fuzz deb model format check-format clean

help:          ## this list
	@sed -n 's/^\([a-z-]*\): *## */  make \1\t/p' Makefile | expand -t 22
run:           ## a node on 127.0.0.1:8000 and a curl line to try
	@scripts/run
test:          ## every test, and how many passed and failed
	@scripts/test
fault:         ## kills, cuts off and stops real processes under load (6 min)
	@scripts/fault
demo:          ## four nodes, Redis, HAProxy and the reference load; CLUSTER=1: on a Redis Cluster
	@scripts/demo
bench:         ## side by side with others; fills bench/results and the README's table
	@scripts/install-deps bench && bench/run
bench-scale:   ## one to eight nodes on one Redis: what a request costs, what leases reach
	@scripts/install-deps bench && bench/scale
bench-proxy:   ## before a model server, beside nginx and Portkey's gateway (8 min)
	@scripts/install-deps bench && bench/proxy
asan:          ## every test under the address and undefined-behaviour sanitizers
	@scripts/test asan
tsan:          ## every test under the thread sanitizer
	@scripts/test tsan
fuzz:          ## every fuzz target for 30 s
	@scripts/fuzz
deb:           ## a Debian package under build/
	@scripts/deb
model:         ## the lease protocol under an exhaustive checker, and each rule taken out
	@scripts/install-deps model && docs/model/run
format:        ## lay out the C files
	@scripts/format
check-format:  ## fail where the layout differs
	@scripts/format --check
clean:         ## remove what was built
	@rm -rf build
