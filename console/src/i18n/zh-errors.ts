/**
 * Texts of errors in Simplified Chinese, by the API's code.
 * @module
 */
import type { errors as english } from './en-errors.ts'

export const errors: Readonly<Record<keyof typeof english, string>> = {
  'error.unreachable': 'API 没有响应。请检查连接；没有数据丢失，请重试。',
  'error.unavailable': '服务尚未就绪。请稍后重试。',
  'error.internal': '服务器出错。请重试；若仍出错，请告知运维人员。',
  'error.not-found': '没有此心电图，或已被删除。',
  'error.token-missing': '您尚未登录。',
  'error.token-invalid': '登录已失效。请重新登录。',
  'error.scope-missing': '您的账号无此权限。',
  'error.request-timeout': '上传时间过长。请在更好的网络下重试。',
  'error.payload-empty': '文件为空。',
  'error.files': '{count} 个文件',
  'error.payload-too-large': '文件过大或过长（上限 {limit}）。',
  'error.payload-malformed': '文件损坏或不完整（{field}）。WFDB 需要同时提供 .hea 和 .dat 文件。',
  'error.format-unknown': '这不是任何受支持格式的心电图文件（docs/formats.md）。',
  'error.format-unsupported': '识别出此类文件，但无法读取此变体（{field}）。',
  'error.lead-unknown': '某通道不属于十二导联（{field}）。',
  'error.lead-duplicate': '某导联出现两次（{field}）。',
  'error.lead-missing': '文件中没有找到心电导联。',
  'error.unit-unknown': '文件没有说明单位（{field}）。请指明：mV、uV 或 V。',
  'error.gain-invalid': '增益不合理（{field}）。',
  'error.rate-unsupported': '采样率必须在 100 至 2000 Hz 之间（{field}）。',
  'error.sample-invalid': '某采样不是数字（{field}）。',
  'error.samples-uneven': '各导联长度不同（{field}）。',
  'error.field-invalid': '某值不允许（{field}）。',
  'error.synthesis-unavailable': '此系统的模型包只做筛查，不能绘制。',
  'error.not-screened': '心电图仍在筛查。请稍后重试。',
  'error.ecg-refused': '质量关拒绝了此心电图：无可绘制或解释。',
  'error.leads-too-few': '无法绘制：合格导联太少。',
  'error.ecg-unfamiliar': '无法绘制：此心电图与模型所知的不同。',
  'error.bundle-mismatch': '当前使用的模型比给出此结果的模型更新。请重新上传该心电图。',
  'error.worker-lost': '绘制用的机器消失了。请重试。',
  'error.other': '被拒绝（{code}，{field}）。',
}
