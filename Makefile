# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# flatpause: `make help` says what there is to make.

VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=
O       ?= .output$(if $(SANITIZE),/sanitize)$(if $(STATIC),/static)
# Where the kernel side is built: neither SANITIZE nor STATIC makes another one of it.
BPF_O   ?= $(O)

CLANG   ?= clang
BPFTOOL ?= bpftool
PKG_CONFIG ?= pkg-config

V ?= 0
ifeq ($(V),1)
  Q   :=
  msg :=
else
  Q   := @
  msg = @printf '  %-8s %s\n' '$(1)' '$(patsubst $(O)/%,%,$(2))';
endif

ARCH := $(shell uname -m)
BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(ARCH)))
ifeq ($(filter x86 arm64,$(BPF_ARCH)),)
  $(error flatpause knows the syscalls of x86_64 and aarch64, not of $(ARCH))
endif

# ---- what must be there, said by the name of its package ----

need = $(if $(shell command -v $(1) 2>/dev/null),,$(error $(1) is missing: install the package '$(2)', or run `make deps` as root))
need_lib = $(if $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo y),,$(error the library $(1) is missing: install the package '$(2)', or run `make deps` as root))

ifneq ($(filter-out clean help deps uninstall,$(or $(MAKECMDGOALS),all)),)
ifeq ($(filter demo check faults,$(MAKECMDGOALS)),)
  $(call need,$(CC),gcc)
  $(call need,$(CLANG),clang)
  $(call need,$(BPFTOOL),bpftool)
  $(call need,$(PKG_CONFIG),pkg-config)
  $(call need_lib,libbpf,libbpf-dev)
  $(call need_lib,libelf,libelf-dev)
  $(call need_lib,zlib,zlib1g-dev)
  $(call need_lib,jansson,libjansson-dev)
endif
endif

# ---- flags ----

CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I$(O) -I$(BPF_O) -I. $(WARNINGS) $(if $(WERROR),-Werror) \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all) \
	$(CFLAGS)
ALL_LDFLAGS = $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(if $(STATIC),-static) $(LDFLAGS)
LIBS := $(shell $(PKG_CONFIG) $(if $(STATIC),--static) --libs libbpf jansson 2>/dev/null) -lelf -lz -liberty -lm -lpthread

BPF_CFLAGS := -std=gnu11 -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) -I. -Ibpf \
	-Wall -Wextra -Wno-unused-parameter -Wno-missing-declarations $(if $(WERROR),-Werror) \
	-idirafter /usr/include/$(ARCH)-linux-gnu

# ---- what is built from what ----

# What defines the maps comes first: libbpf's linker loses maps whose extern it saw before.
BPF_SRCS    := bpf/common.bpf.c $(sort $(filter-out bpf/common.bpf.c,$(wildcard bpf/*.bpf.c)))
LIB_SRCS    := $(sort user/log.c $(wildcard user/*/*.c probes/*.c reports/*.c))
FIXER_SRCS  := $(sort $(filter-out fixer/main.c,$(wildcard fixer/*.c fixer/*/*.c)))
# What the fixer shares with the collector: messages and options, not the analysis.
FIXER_SHARED := user/log.c user/cli/streams.c user/cli/params.c user/cli/units.c user/host/read.c user/cli/wrap.c reports/escape.c
UNIT_SRCS   := $(sort $(wildcard tests/unit/test_*.c tests/unit/*/test_*.c tests/unit/*/*/test_*.c))
FUZZ_SRCS   := $(sort $(wildcard tests/fuzz/fuzz_*.c))
SIM_TEST_SRCS := $(sort $(wildcard tests/sim/test_*.c))
SIM_SRCS    := $(sort $(filter-out $(SIM_TEST_SRCS),$(wildcard tests/sim/*.c)))
LAB_SRCS    := $(sort $(wildcard tests/lab/*.c))
# What the lab's programs share, with messages and options as everywhere.
LAB_SHARED  := $(sort $(wildcard tests/lab/lib/*.c)) $(FIXER_SHARED)
# One program: what pauses and what disturbs it, for the faults that are made on purpose.
FAULT_SRCS  := $(sort $(wildcard tests/faults/load/*.c))
BENCH_SRCS  := $(sort $(wildcard tests/bench/*.c))
VM_SRCS     := $(sort $(wildcard tests/vm/*.c))
LIVE_SRCS   := $(sort $(wildcard tests/live/live_*.c))
LIVE_HELPER_SRCS := $(sort $(filter-out $(LIVE_SRCS),$(wildcard tests/live/*.c)))
HELPER_SRCS := $(sort $(filter-out $(UNIT_SRCS),$(wildcard tests/unit/*.c)))

obj = $(patsubst %.c,$(O)/%.o,$(1))
BPF_OBJS := $(patsubst %.bpf.c,$(BPF_O)/%.bpf.o,$(BPF_SRCS))
SKEL     := $(BPF_O)/flatpause.skel.h
UNIT_BINS  := $(patsubst %.c,$(O)/%,$(UNIT_SRCS))
FUZZ_BINS  := $(patsubst %.c,$(O)/%,$(FUZZ_SRCS))
SIM_BINS   := $(patsubst %.c,$(O)/%,$(SIM_TEST_SRCS))
LAB_BINS   := $(patsubst tests/lab/%.c,$(O)/lab/%,$(LAB_SRCS))
BENCH_BINS := $(patsubst tests/bench/%.c,$(O)/bench/%,$(BENCH_SRCS))
VM_BINS    := $(patsubst tests/vm/%.c,$(O)/vm/%,$(VM_SRCS))
LIVE_BINS  := $(patsubst tests/live/%.c,$(O)/live/%,$(LIVE_SRCS))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help deps tools tests demo check faults bench install uninstall clean format

all: $(O)/flatpause $(O)/flatpause-fixer ## build flatpause and flatpause-fixer into .output

help: ## this text
	@echo 'flatpause $(VERSION): targets'
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@echo 'variables: V=1 (show commands)  WERROR=1  SANITIZE=address,undefined  STATIC=1'
	@echo '           O=DIR (default .output)  PREFIX=/usr/local  DESTDIR='

deps: ## install what building, the lab and the tests need (Debian, as root)
	$(Q)tests/deps.sh

# Of a make that was not told how many: one for each CPU.
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

demo: ## the whole story in the lab: sweep, verdict, mitigations, control (root, < 10 minutes)
	$(Q)tests/deps.sh build lab
	$(Q)$(MAKE) --no-print-directory $(JOBS) all tools
	$(Q)tests/lab/demo.sh $(O)

check: ## install what the tests need and run them all (root, about 20 minutes)
	$(Q)tests/deps.sh build lab check
	$(Q)$(MAKE) --no-print-directory $(JOBS) WERROR=1 all tools tests
	$(Q)tests/run.sh $(O)

faults: ## make every fault that is known, with its twin, and say which cause was named (root, ~ 10 minutes)
	$(Q)tests/deps.sh build lab
	$(Q)$(MAKE) --no-print-directory $(JOBS) all tools
	$(Q)tests/faults/faults.sh $(O)

bench: ## print every figure that the README quotes (root; not a test)
	$(Q)tests/deps.sh build lab bench
	$(Q)$(MAKE) --no-print-directory $(JOBS) all tools $(BENCH_BINS)
	$(Q)tests/bench/run.sh $(O)

tools: $(LAB_BINS) $(O)/faults/faultload
tests: $(UNIT_BINS) $(FUZZ_BINS) $(SIM_BINS) $(BENCH_BINS) $(LIVE_BINS) $(VM_BINS)

format: ## apply .clang-format
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

install: all ## install the two programs below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(O)/flatpause $(O)/flatpause-fixer $(DESTDIR)$(PREFIX)/bin/

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/flatpause $(DESTDIR)$(PREFIX)/bin/flatpause-fixer

clean: ## remove what was built
	$(Q)rm -rf .output

# ---- the kernel side: one object, one skeleton ----

$(BPF_O)/bpf/%.bpf.o: bpf/%.bpf.c
	$(Q)mkdir -p $(@D)
	$(call msg,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(BPF_O)/flatpause.bpf.o: $(BPF_OBJS)
	$(call msg,GEN,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKEL): $(BPF_O)/flatpause.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name flatpause_bpf > $@

# ---- user space ----

$(O)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(call msg,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# The skeleton is generated: whoever includes it waits for it.
$(call obj,$(wildcard user/capture/*.c)): $(SKEL)

# A text file as a C string, to be included: styles, scripts and the JSON schema of the reports.
$(O)/%.inc: %
	$(Q)mkdir -p $(@D)
	$(call msg,EMBED,$@)
	$(Q)sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' $< > $@

$(call obj,$(wildcard reports/*.c)): $(patsubst %,$(O)/%.inc,$(wildcard reports/*.css reports/*.js reports/*.json))

$(O)/libflatpause.a: $(call obj,$(LIB_SRCS))
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/libfixer.a: $(call obj,$(FIXER_SRCS) $(FIXER_SHARED))
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/flatpause: $(O)/user/main.o $(O)/libflatpause.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS)

$(O)/flatpause-fixer: $(O)/fixer/main.o $(O)/libfixer.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS)

# ---- tests, lab, benchmarks: one program per file ----

$(O)/tests/unit/fixer/test_%: $(O)/tests/unit/fixer/test_%.o $(O)/libfixer.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS) -lcmocka

$(O)/tests/unit/%: $(O)/tests/unit/%.o $(call obj,$(HELPER_SRCS)) $(O)/libflatpause.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS) -lcmocka

$(O)/tests/fuzz/%: $(O)/tests/fuzz/%.o $(call obj,$(SIM_SRCS) $(HELPER_SRCS)) $(O)/libflatpause.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS) -lcmocka

$(O)/tests/sim/%: $(O)/tests/sim/%.o $(call obj,$(SIM_SRCS) $(HELPER_SRCS)) $(O)/libflatpause.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS) -lcmocka

# it looks at extents as the fixer does
$(O)/lab/vmm_writer: $(O)/libfixer.a

$(O)/lab/%: $(O)/tests/lab/%.o $(call obj,$(LAB_SHARED))
	$(Q)mkdir -p $(@D)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS)

$(O)/faults/faultload: $(call obj,$(FAULT_SRCS) user/log.c)
	$(Q)mkdir -p $(@D)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ -lpthread

$(O)/bench/trace_speed: $(call obj,$(wildcard tests/unit/trace_builder*.c))
$(O)/bench/gate_power: $(O)/tests/unit/curve_tables.o

$(O)/bench/export_speed: $(O)/tests/bench/export_speed.o $(O)/libfixer.a
	$(Q)mkdir -p $(@D)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS)

$(O)/bench/%: $(O)/tests/bench/%.o $(O)/libflatpause.a
	$(Q)mkdir -p $(@D)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS)

$(O)/vm/%: $(O)/tests/vm/%.o $(O)/libflatpause.a
	$(Q)mkdir -p $(@D)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS)

$(O)/live/%: $(O)/tests/live/%.o $(call obj,$(LIVE_HELPER_SRCS)) $(O)/libflatpause.a
	$(Q)mkdir -p $(@D)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -o $@ $(LIBS) -lcmocka

-include $(shell find $(O) $(if $(filter $(O),$(BPF_O)),,$(BPF_O)/bpf) -name '*.d' -not -path '$(O)/sanitize/*' -not -path '$(O)/static/*' 2>/dev/null)
