################################################################################
#
# aerie-ffmpeg
#
################################################################################

AERIE_FFMPEG_VERSION = 7.1.5
AERIE_FFMPEG_SOURCE = ffmpeg-$(AERIE_FFMPEG_VERSION).tar.xz
AERIE_FFMPEG_SITE = https://ffmpeg.org/releases
AERIE_FFMPEG_LICENSE = LGPL-2.1+
AERIE_FFMPEG_LICENSE_FILES = COPYING.LGPLv2.1
AERIE_FFMPEG_DEPENDENCIES = host-pkgconf
AERIE_FFMPEG_INSTALL_STAGING = YES
AERIE_FFMPEG_INSTALL_TARGET = NO

# Aerie's own script knows what to build, and how. It unpacks the source
# itself, from its cache.
define AERIE_FFMPEG_BUILD_CMDS
	mkdir -p $(@D)/aerie-cache/source
	ln -sf $(AERIE_FFMPEG_DL_DIR)/$(AERIE_FFMPEG_SOURCE) $(@D)/aerie-cache/source/
	$(TARGET_MAKE_ENV) \
		AERIE_CACHE=$(@D)/aerie-cache \
		AERIE_CROSS_COMPILE=$(TARGET_CROSS) \
		$(BR2_EXTERNAL_AERIE_PATH)/../receiver/codec/ffmpeg/build.sh \
		$(if $(BR2_aarch64),arm64,amd64) >$(@D)/aerie-prefix
endef

# A folder of its own, beside FFmpeg's package if that is built too.
define AERIE_FFMPEG_INSTALL_STAGING_CMDS
	rm -rf $(STAGING_DIR)/usr/lib/aerie-ffmpeg
	mkdir -p $(STAGING_DIR)/usr/lib
	cp -a $$(cat $(@D)/aerie-prefix) $(STAGING_DIR)/usr/lib/aerie-ffmpeg
endef

$(eval $(generic-package))
