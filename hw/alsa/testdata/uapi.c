/* Prints the sizes, offsets and ioctl numbers of the ALSA uAPI that package
 * alsa uses, one "name value" a line, for the ABI it is compiled for. The
 * table uapi.golden has one column per ABI; golden_test.go says how it is
 * made. */
#include <sys/ioctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>
#include <sound/asound.h>

#define SIZE(t) printf("sizeof(%s) %zu\n", #t, sizeof(struct t))
#define AT(t, f) printf("%s.%s %zu\n", #t, #f, offsetof(struct t, f))
#define NUM(n) printf("%s %#lx\n", #n, (unsigned long)(n))

int main(void)
{
	SIZE(snd_mask);
	SIZE(snd_interval);
	AT(snd_interval, max);
	SIZE(snd_pcm_hw_params);
	AT(snd_pcm_hw_params, masks);
	AT(snd_pcm_hw_params, intervals);
	AT(snd_pcm_hw_params, rmask);
	AT(snd_pcm_hw_params, cmask);
	AT(snd_pcm_hw_params, info);
	AT(snd_pcm_hw_params, msbits);
	AT(snd_pcm_hw_params, rate_num);
	AT(snd_pcm_hw_params, rate_den);
	AT(snd_pcm_hw_params, fifo_size);
	SIZE(snd_pcm_sw_params);
	AT(snd_pcm_sw_params, tstamp_mode);
	AT(snd_pcm_sw_params, period_step);
	AT(snd_pcm_sw_params, avail_min);
	AT(snd_pcm_sw_params, start_threshold);
	AT(snd_pcm_sw_params, stop_threshold);
	AT(snd_pcm_sw_params, silence_threshold);
	AT(snd_pcm_sw_params, silence_size);
	AT(snd_pcm_sw_params, boundary);
	AT(snd_pcm_sw_params, proto);
	AT(snd_pcm_sw_params, tstamp_type);
	SIZE(snd_pcm_status);
	AT(snd_pcm_status, trigger_tstamp);
	AT(snd_pcm_status, tstamp);
	AT(snd_pcm_status, appl_ptr);
	AT(snd_pcm_status, hw_ptr);
	AT(snd_pcm_status, delay);
	AT(snd_pcm_status, avail);
	AT(snd_pcm_status, avail_max);
	AT(snd_pcm_status, overrange);
	AT(snd_pcm_status, suspended_state);
	AT(snd_pcm_status, audio_tstamp_data);
	AT(snd_pcm_status, audio_tstamp);
	AT(snd_pcm_status, driver_tstamp);
	AT(snd_pcm_status, audio_tstamp_accuracy);
	SIZE(snd_pcm_mmap_status);
	AT(snd_pcm_mmap_status, hw_ptr);
	AT(snd_pcm_mmap_status, tstamp);
	AT(snd_pcm_mmap_status, suspended_state);
	AT(snd_pcm_mmap_status, audio_tstamp);
	SIZE(snd_pcm_mmap_control);
	AT(snd_pcm_mmap_control, appl_ptr);
	AT(snd_pcm_mmap_control, avail_min);
	SIZE(snd_pcm_sync_ptr);
	AT(snd_pcm_sync_ptr, s);
	AT(snd_pcm_sync_ptr, c);
	SIZE(snd_xferi);
	AT(snd_xferi, buf);
	AT(snd_xferi, frames);
	SIZE(snd_pcm_info);
	AT(snd_pcm_info, subdevice);
	AT(snd_pcm_info, stream);
	AT(snd_pcm_info, card);
	AT(snd_pcm_info, id);
	AT(snd_pcm_info, name);
	AT(snd_pcm_info, subname);
	AT(snd_pcm_info, dev_class);
	AT(snd_pcm_info, subdevices_count);
	AT(snd_pcm_info, subdevices_avail);
	SIZE(snd_ctl_card_info);
	AT(snd_ctl_card_info, id);
	AT(snd_ctl_card_info, driver);
	AT(snd_ctl_card_info, name);
	AT(snd_ctl_card_info, longname);
	AT(snd_ctl_card_info, mixername);
	AT(snd_ctl_card_info, components);
	SIZE(snd_ctl_elem_id);
	AT(snd_ctl_elem_id, iface);
	AT(snd_ctl_elem_id, device);
	AT(snd_ctl_elem_id, subdevice);
	AT(snd_ctl_elem_id, name);
	AT(snd_ctl_elem_id, index);
	SIZE(snd_ctl_elem_list);
	AT(snd_ctl_elem_list, offset);
	AT(snd_ctl_elem_list, space);
	AT(snd_ctl_elem_list, used);
	AT(snd_ctl_elem_list, count);
	AT(snd_ctl_elem_list, pids);
	SIZE(snd_ctl_elem_info);
	AT(snd_ctl_elem_info, type);
	AT(snd_ctl_elem_info, access);
	AT(snd_ctl_elem_info, count);
	AT(snd_ctl_elem_info, owner);
	AT(snd_ctl_elem_info, value);
	SIZE(snd_ctl_elem_value);
	AT(snd_ctl_elem_value, value);
	SIZE(snd_ctl_event);
	AT(snd_ctl_event, data.elem.mask);
	AT(snd_ctl_event, data.elem.id);
	SIZE(snd_ctl_tlv);
	AT(snd_ctl_tlv, length);
	AT(snd_ctl_tlv, tlv);

	NUM(SNDRV_PCM_IOCTL_PVERSION);
	NUM(SNDRV_PCM_IOCTL_INFO);
	NUM(SNDRV_PCM_IOCTL_USER_PVERSION);
	NUM(SNDRV_PCM_IOCTL_HW_REFINE);
	NUM(SNDRV_PCM_IOCTL_HW_PARAMS);
	NUM(SNDRV_PCM_IOCTL_SW_PARAMS);
	NUM(SNDRV_PCM_IOCTL_STATUS);
	NUM(SNDRV_PCM_IOCTL_SYNC_PTR);
	NUM(SNDRV_PCM_IOCTL_PREPARE);
	NUM(SNDRV_PCM_IOCTL_START);
	NUM(SNDRV_PCM_IOCTL_DROP);
	NUM(SNDRV_PCM_IOCTL_RESUME);
	NUM(SNDRV_PCM_IOCTL_WRITEI_FRAMES);
	NUM(SNDRV_PCM_IOCTL_READI_FRAMES);
	NUM(SNDRV_CTL_IOCTL_CARD_INFO);
	NUM(SNDRV_CTL_IOCTL_ELEM_LIST);
	NUM(SNDRV_CTL_IOCTL_ELEM_INFO);
	NUM(SNDRV_CTL_IOCTL_ELEM_READ);
	NUM(SNDRV_CTL_IOCTL_ELEM_WRITE);
	NUM(SNDRV_CTL_IOCTL_SUBSCRIBE_EVENTS);
	NUM(SNDRV_CTL_IOCTL_ELEM_ADD);
	NUM(SNDRV_CTL_IOCTL_ELEM_UNLOCK);
	NUM(SNDRV_CTL_IOCTL_TLV_READ);
	NUM(SNDRV_CTL_IOCTL_TLV_WRITE);
	NUM(SNDRV_CTL_IOCTL_PCM_NEXT_DEVICE);
	NUM(SNDRV_CTL_IOCTL_PCM_INFO);

	NUM(SNDRV_PCM_FORMAT_S16_LE);
	NUM(SNDRV_PCM_FORMAT_S24_LE);
	NUM(SNDRV_PCM_FORMAT_S32_LE);
	NUM(SNDRV_PCM_FORMAT_FLOAT_LE);
	NUM(SNDRV_PCM_FORMAT_IEC958_SUBFRAME_LE);
	NUM(SNDRV_PCM_FORMAT_S24_3LE);
	NUM(SNDRV_PCM_ACCESS_MMAP_INTERLEAVED);
	NUM(SNDRV_PCM_ACCESS_RW_INTERLEAVED);
	NUM(SNDRV_PCM_HW_PARAM_CHANNELS);
	NUM(SNDRV_PCM_HW_PARAM_RATE);
	NUM(SNDRV_PCM_HW_PARAM_PERIOD_SIZE);
	NUM(SNDRV_PCM_HW_PARAM_PERIODS);
	NUM(SNDRV_PCM_HW_PARAM_BUFFER_SIZE);
	NUM(SNDRV_PCM_STATE_OPEN);
	NUM(SNDRV_PCM_STATE_SETUP);
	NUM(SNDRV_PCM_STATE_PREPARED);
	NUM(SNDRV_PCM_STATE_RUNNING);
	NUM(SNDRV_PCM_STATE_XRUN);
	NUM(SNDRV_PCM_STATE_DRAINING);
	NUM(SNDRV_PCM_STATE_PAUSED);
	NUM(SNDRV_PCM_STATE_SUSPENDED);
	NUM(SNDRV_PCM_STATE_DISCONNECTED);
	NUM(SNDRV_PCM_INFO_BATCH);
	NUM(SNDRV_PCM_TSTAMP_ENABLE);
	NUM(SNDRV_PCM_TSTAMP_TYPE_MONOTONIC);
	NUM(SNDRV_PCM_SYNC_PTR_HWSYNC);
	NUM(SNDRV_PCM_SYNC_PTR_APPL);
	NUM(SNDRV_PCM_SYNC_PTR_AVAIL_MIN);
	NUM(SNDRV_CTL_ELEM_TYPE_BOOLEAN);
	NUM(SNDRV_CTL_ELEM_TYPE_INTEGER);
	NUM(SNDRV_CTL_ELEM_TYPE_BYTES);
	NUM(SNDRV_CTL_ELEM_IFACE_CARD);
	NUM(SNDRV_CTL_ELEM_IFACE_MIXER);
	NUM(SNDRV_CTL_ELEM_IFACE_PCM);
	NUM(SNDRV_CTL_ELEM_ACCESS_TLV_READ);
	NUM(SNDRV_CTL_ELEM_ACCESS_TLV_READWRITE);
	NUM(SNDRV_CTL_ELEM_ACCESS_READWRITE);
	return 0;
}
