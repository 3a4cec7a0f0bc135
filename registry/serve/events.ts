/** Something that changed, for whoever is notified. */
export interface RegistryEvent {
  readonly action: 'push' | 'mount' | 'delete';
  readonly repository: string;
  readonly digest?: string;
  readonly mediaType?: string;
  readonly size?: number;
  readonly tag?: string;
  readonly fromRepository?: string;
}
