include $(sort $(wildcard $(BR2_EXTERNAL_AERIE_PATH)/package/*/*.mk))
