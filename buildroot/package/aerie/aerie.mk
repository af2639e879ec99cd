################################################################################
#
# aerie
#
################################################################################

# The tree that this folder is part of.
AERIE_VERSION = local
AERIE_SITE = $(realpath $(BR2_EXTERNAL_AERIE_PATH)/..)
AERIE_SITE_METHOD = local
AERIE_LICENSE = Apache-2.0
AERIE_LICENSE_FILES = LICENSE
AERIE_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude=/bin --exclude=/dist
AERIE_DEPENDENCIES = aerie-ffmpeg host-pkgconf

AERIE_GOMOD = aerie
AERIE_BUILD_TARGETS = cmd/aerie
AERIE_BIN_NAME = aerie

# As in receiver/codec/ffmpeg/env.sh: static, and without what nothing calls.
AERIE_TAGS = netgo osusergo nethttpomithttp2
AERIE_EXTLDFLAGS = -static -Wl,--gc-sections
AERIE_GO_ENV = \
	CGO_CFLAGS="$(TARGET_CFLAGS) -ffunction-sections -fdata-sections" \
	PKG_CONFIG="$(HOST_DIR)/bin/pkgconf" \
	PKG_CONFIG_PATH="" \
	PKG_CONFIG_LIBDIR="$(STAGING_DIR)/usr/lib/aerie-ffmpeg/lib/pkgconfig"

AERIE_STAMP = $(call qstrip,$(BR2_PACKAGE_AERIE_STAMP))
AERIE_LDFLAGS = -linkmode external -s -w \
	$(addprefix -X main.version=,$(word 1,$(AERIE_STAMP))) \
	$(addprefix -X aerie/receiver/ota/release.counter=,$(word 2,$(AERIE_STAMP))) \
	$(addprefix -X aerie/receiver/ota/release.built=,$(word 3,$(AERIE_STAMP)))

# A tree that is here is not downloaded, so nothing has fetched its modules.
# go.sum vouches for them. An empty GOPROXY is Go's default.
define AERIE_VENDOR
	cd $(@D) && \
		$(HOST_GO_TARGET_ENV) GOFLAGS=-mod=mod GOPROXY="$(GOPROXY)" \
		$(GO_BIN) mod vendor
endef
AERIE_PRE_BUILD_HOOKS += AERIE_VENDOR

AERIE_RELEASE_KEYS = $(call qstrip,$(BR2_PACKAGE_AERIE_RELEASE_KEYS))
ifneq ($(AERIE_RELEASE_KEYS),)
define AERIE_INSTALL_RELEASE_KEYS
	$(INSTALL) -D -m 0644 $(AERIE_RELEASE_KEYS) \
		$(TARGET_DIR)/usr/lib/aerie/release.pub
endef
endif

define AERIE_INSTALL_TARGET_CMDS
	$(@D)/systemd/install $(TARGET_DIR) $(@D)/bin/aerie
	$(AERIE_INSTALL_RELEASE_KEYS)
endef

# The root is read-only: nobody makes the user at the first start.
define AERIE_USERS
	aerie -1 aerie -1 * /data/aerie - video,audio,systemd-journal Aerie
endef

$(eval $(golang-package))
