/**
 * 82 项心功能指标的中文名称。
 * @module
 */
const SIDES = { lv: '左心室', rv: '右心室', la: '左心房', ra: '右心房' } as const

const VENTRICLE = { Edv: '舒张末期容积', Esv: '收缩末期容积', Sv: '每搏输出量', Ef: '射血分数' } as const
const ATRIUM = { MaxVolume: '最大容积', MinVolume: '最小容积', Sv: '每搏输出量', Ef: '射血分数' } as const
const AORTA = { MaxArea: '最大截面积', MinArea: '最小截面积', Distensibility: '扩张性' } as const

const named = (id: string, name: string, parts: Readonly<Record<string, string>>) =>
  Object.entries(parts).map(([part, text]) => [`index.${id}${part}`, `${name}${text}`] as const)

/** 各节段和整体。 */
const segments = (id: string, name: string, segment: string, count: number) => [
  ...Array.from({ length: count }, (_, i) => [`index.${id}${segment}${i + 1}`, `${name}，${i + 1} 段`] as const),
  [`index.${id}Global`, `${name}，整体`] as const,
]

export const zhIndices: Readonly<Record<string, string>> = Object.fromEntries([
  ...named('lv', SIDES.lv, { ...VENTRICLE, Co: '心输出量', Mass: '心肌质量' }),
  ...named('rv', SIDES.rv, VENTRICLE),
  ...named('la', SIDES.la, ATRIUM),
  ...named('ra', SIDES.ra, ATRIUM),
  ...named('ascendingAorta', '升主动脉', AORTA),
  ...named('descendingAorta', '降主动脉', AORTA),
  ...segments('wallThickness', '室壁厚度', 'Aha', 16),
  ...segments('circumferentialStrain', '周向应变', 'Aha', 16),
  ...segments('radialStrain', '径向应变', 'Aha', 16),
  ...segments('longitudinalStrain', '纵向应变', 'Segment', 6),
])
