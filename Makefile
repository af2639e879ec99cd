# Aerie. Every target does its own set-up; "make help" lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# ARCH is what to build for: amd64, arm64 or armhf; empty is this machine.
ARCH ?=
# FLAGS are passed on to aerie by run and demo.
FLAGS ?=
# PACKAGES are what to test.
PACKAGES ?= ./...
# CUTS is how often vm-cuts cuts the power.
CUTS ?= 100
# SOAK is how long the soak takes.
SOAK ?= 10m
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# KEY signs a release, PUBLIC is its other half; COUNTER orders releases. DIST is
# the folder to serve. STAMP is what a release knows of itself. See .ci/release.
KEY ?=
PUBLIC ?=
COUNTER ?=
DIST ?= dist
STAMP ?=

# BOARD is what an image is for: pi3, pi4 or pi5. BUILDROOT is a tree of it.
BOARD ?=
BUILDROOT ?=

# DEVICES are how many receivers are simulated, CHAOS how long things break.
DEVICES ?= 10000
CHAOS ?= 5m

# bin/ holds native programs, bin/ARCH those of another architecture.
BIN := bin$(if $(ARCH),/$(ARCH))
# What Go needs to find FFmpeg and to link statically.
ENV = eval "$$(.ci/go)"; eval "$$(receiver/codec/ffmpeg/env.sh $(ARCH))"

help: ## Print this
	@echo "make run      build and run the receiver (FLAGS=... for aerie)"
	@echo "make demo     the same, with a test pattern mirrored to it"
	@echo "make test     all tests"
	@echo "make bench    benchmarks, as ratios to a floor measured in the same run"
	@echo "make build    bin/aerie and bin/aerie-sender (ARCH=arm64 or armhf for a Pi)"
	@echo "make install  the appliance's files into the root file system DESTDIR"
	@echo "make release  signed releases in dist/ (KEY=FILE, ARCH=\"arm64 armhf\"; docs/releasing.md)"
	@echo "make image    the card of a board (BOARD=pi3, pi4 or pi5; docs/image.md)"
	@echo "make image-check  whether the images fit a tree of Buildroot (BUILDROOT=DIR)"
	@echo "make fleet    bin/aerie-fleet, which looks after many receivers"
	@echo "make fleet-load   simulated devices at one service, measured (DEVICES=10000)"
	@echo "make fleet-chaos  services, broker and cables broken at random (CHAOS=5m)"
	@echo "make lab      the hardware tests in the virtual machine"
	@echo "make radio    joining Wi-Fi and opening an access point, with simulated radios in a virtual machine"
	@echo "make vm       the appliance in a virtual machine, with its page on this one (ARCH=arm64 emulated)"
	@echo "make vm-test  its starts, updates and hangs; make vm-cuts CUTS=100 its power cuts"
	@echo "make fuzz     every fuzz target for a minute"
	@echo "make soak     ten minutes of 1080p60 over a bad network (SOAK=1h for more)"
	@echo "make compare  what mirroring costs Aerie and another receiver"
	@echo "make check    formatting, vet and the rules of the house"
	@echo "make clean    remove bin/"

setup:
	@.ci/setup build $(if $(filter-out $(shell dpkg --print-architecture 2>/dev/null),$(ARCH)),cross)

build: setup
	@echo "aerie: building $(BIN)/aerie and $(BIN)/aerie-sender" >&2
	@$(ENV); mkdir -p $(BIN); go build -trimpath -tags "$$AERIE_TAGS" -ldflags "$$AERIE_LDFLAGS -X main.version=$(VERSION) $(STAMP)" -o $(BIN)/ ./cmd/aerie ./cmd/aerie-sender

install: build
	@systemd/install "$(DESTDIR)" $(BIN)/aerie

release:
	@KEY="$(KEY)" PUBLIC="$(PUBLIC)" COUNTER="$(COUNTER)" DIST="$(DIST)" VERSION="$(VERSION)" ARCH="$(or $(ARCH),arm64)" .ci/release

image:
	@BUILDROOT="$(BUILDROOT)" PUBLIC="$(PUBLIC)" OUT="bin/aerie-$(BOARD).img" \
	STAMP="$(VERSION) $(or $(COUNTER),$(shell git rev-list --count HEAD)) $(shell git log -1 --format=%ct)" buildroot/image "$(BOARD)"

image-check:
	@buildroot/check "$(BUILDROOT)"

fleet: setup
	@$(ENV); mkdir -p $(BIN); CGO_ENABLED=0 GOARCH=$(subst armhf,arm,$(ARCH)) go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/ ./cmd/aerie-fleet

fleet-load: setup
	@$(ENV); AERIE_FLEET_DEVICES=$(DEVICES) AERIE_FLEET_STEADY=40s go test -timeout 10m -count 1 -v -run '^TestLoad$$' ./cmd/aerie-fleet

fleet-chaos: setup
	@.ci/setup test
	@$(ENV); AERIE_FLEET_CHAOS=$(CHAOS) go test -timeout 0 -count 1 -v -run '^TestChaos$$' ./cmd/aerie-fleet

run: build
	@exec bin/aerie run $(FLAGS)

demo: build
	@exec bin/aerie demo $(FLAGS)

test: setup
	@.ci/setup test lab vm radio cross
	@$(ENV); .ci/test $(PACKAGES)

bench: setup
	@.ci/setup test
	@$(ENV); .ci/bench

vm: build
	@.ci/setup vm $(if $(filter arm64,$(ARCH)),vm-arm64)
	@$(ENV); exec go run ./hw/lab/appliance $(if $(ARCH),-arch $(ARCH)) -program $(BIN)/aerie

vm-test: setup
	@.ci/setup vm
	@$(ENV); AERIE_VM=1 go test -timeout 0 -count 1 -v -run '^(TestAppliance|TestBrokenCard)$$' ./hw/lab/appliance

vm-cuts: setup
	@.ci/setup vm
	@$(ENV); AERIE_VM=1 AERIE_VM_CUTS=$(CUTS) AERIE_VM_WORKERS=$$(nproc) go test -parallel $$(nproc) -timeout 0 -count 1 -v -run '^TestPowerCuts$$' ./hw/lab/appliance

lab: setup
	@.ci/setup lab
	@$(ENV); go run ./hw/lab $$(.ci/lab-packages)

radio: setup
	@$(ENV); .ci/radio

fuzz: setup
	@$(ENV); .ci/fuzz

soak: setup
	@.ci/setup test
	@$(ENV); AERIE_SOAK=$(SOAK) go test -timeout 0 -count 1 -v -run '^TestSoak$$' ./cmd/aerie

compare: setup
	@.ci/compare

check: setup
	@$(ENV); .ci/check

clean:
	rm -rf bin

.PHONY: help setup build install release image image-check fleet fleet-load fleet-chaos run demo test bench vm vm-test vm-cuts lab radio fuzz soak compare check clean
